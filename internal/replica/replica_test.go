package replica

import (
	"database/sql"
	"errors"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func execute(t *testing.T, server *testenv.MySQLServer, statements ...string) {
	t.Helper()
	db, err := sql.Open("mysql", server.DSN)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
}

// outs is prewarm_replica_out_total by replica and reason, which come sorted by their labels' names.
func outs(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "prewarm_replica_out_total" {
				all[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return all
}

func TestReplicasAreReadInTurnWhileTheyHaveWhatThePrimaryHas(t *testing.T) {
	t.Parallel()
	primary := testenv.BinlogMySQL(t)
	execute(t, primary, "CREATE TABLE users (shop_id INT, user_id INT, PRIMARY KEY (shop_id, user_id))", "INSERT INTO users VALUES (1, 1)")
	one, two := testenv.ReplicaMySQL(t, primary, 2), testenv.ReplicaMySQL(t, primary, 3)
	cfg := config.Source{DSN: primary.DSN, Replicas: []string{one.DSN, two.DSN, "root@tcp(127.0.0.1:1)/test"}}
	src, err := source.Open(t.Context(), "main", cfg, 4)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	bound, err := src.Bind(t.Context(), dataset.Spec{Name: "users", Table: "users", Shop: "shop_id", By: []string{"user_id"}, Columns: []string{"user_id"}, Key: "u:{shop}:{user_id}"})
	require.NoError(t, err)
	reg := prometheus.NewRegistry()
	metrics := NewMetrics(reg)
	s := New(Config{Name: "main", Source: cfg, Width: 4, Primary: src, Datasets: map[string]*source.Bound{"users": bound}, Metrics: metrics, Log: slog.New(slog.DiscardHandler)})
	defer func() { require.NoError(t, s.Close()) }()
	out := func(i int, why reason) float64 { return outs(t, reg)[s.all[i].name+" "+string(why)] }

	require.Nil(t, s.Begin("others"))
	reader := s.Begin("users")
	at, _, since := reader.Next(t.Context(), 7)
	require.Nil(t, at, "nobody has looked at them yet")
	require.EqualValues(t, 7, since)

	s.Look(t.Context())
	require.Len(t, s.Servers(), 2)
	require.InDelta(t, 1, out(2, reasonAway), 0)
	require.NotNil(t, s.Bound("main/1", "users"))
	read := map[string]int{}
	for range 4 {
		r := s.Begin("users")
		at, name, since := r.Next(t.Context(), 8)
		require.NotNil(t, at)
		require.EqualValues(t, 8, since)
		page, err := at.ReadPage(t.Context(), "1", "", "", 10, func([]sql.RawBytes) (bool, error) { return true, nil })
		require.NoError(t, err)
		require.Equal(t, 1, page.Rows)
		_, again, since := r.Next(t.Context(), 9)
		require.Equal(t, name, again, "a unit stays where it is")
		require.EqualValues(t, 8, since, "and so does the place that its replica has reached")
		r.Close()
		read[name]++
	}
	require.Equal(t, map[string]int{"main/1": 2, "main/2": 2}, read)

	at, name, _ := reader.Next(t.Context(), 9)
	require.NotNil(t, at)
	reader.Failed(t.Context(), errors.New("the test says so"))
	_, other, _ := reader.Next(t.Context(), 9)
	require.NotEqual(t, name, other, "it is left alone")
	reader.Close()
	s.Look(t.Context())
	require.Len(t, s.next(), 2, "it is well")

	execute(t, one, "STOP REPLICA SQL_THREAD")
	execute(t, two, "STOP REPLICA SQL_THREAD")
	execute(t, primary, "INSERT INTO users VALUES (1, 2)")
	at, _, since = reader.Next(t.Context(), 11)
	require.Nil(t, at)
	require.EqualValues(t, 11, since)
	require.InDelta(t, 1, out(0, reasonBehind), 0)
	require.InDelta(t, 1, out(1, reasonBehind), 0)
	s.Look(t.Context())
	require.InDelta(t, 1, out(0, reasonUnfit), 0, "it does not replicate")

	execute(t, one, "START REPLICA SQL_THREAD")
	testenv.AwaitReplica(t, primary, one)
	s.Look(t.Context())
	at, name, _ = reader.Next(t.Context(), 12)
	require.NotNil(t, at)
	require.Equal(t, "main/1", name)
	execute(t, primary, "INSERT INTO users VALUES (1, 3)")
	one.Kill()
	_, err = at.ReadPage(t.Context(), "1", "", "", 10, func([]sql.RawBytes) (bool, error) { return true, nil })
	require.Error(t, err)
	reader.Failed(t.Context(), err)
	at, _, _ = reader.Next(t.Context(), 13)
	require.Nil(t, at)
	reader.Close()
}
