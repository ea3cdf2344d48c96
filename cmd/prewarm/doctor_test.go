package main

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// stage is a configuration whose servers are real.
type stage struct {
	queue, cache, ledger, source string
	datasets                     string
}

const goodDatasets = `
  - {name: shop, query: "SELECT id, name FROM shops WHERE id = :shop", key: "shop:{id}"}
  - {name: users, table: users, shop: shop_id, by: [user_id], columns: [user_id, nick], key: "user:{shop}:{user_id}"}
`

func newStage(t *testing.T) stage {
	t.Helper()
	redis := testenv.Redis(t).URL
	s := stage{queue: redis, cache: redis, ledger: testenv.MySQL(t), source: testenv.MySQL(t), datasets: goodDatasets}
	execute(t, s.source,
		"CREATE TABLE shops (id BIGINT PRIMARY KEY, name VARCHAR(20) NOT NULL)",
		"CREATE TABLE users (shop_id BIGINT, user_id BIGINT, nick VARCHAR(20), PRIMARY KEY (shop_id, user_id))",
		"INSERT INTO shops VALUES (7, 'seven')", "INSERT INTO users VALUES (7, 1, 'a'), (7, 2, 'b'), (7, 3, 'c')")
	return s
}

func execute(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, statement := range statements {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

func (s stage) file(t *testing.T, more string) string {
	t.Helper()
	return write(t, "prewarm.yaml", fmt.Sprintf("queue: {url: %q%s}\ncache: {url: %q}\nledger: {dsn: %q}\nsources: {main: {dsn: %q}}\ndatasets:%s",
		s.queue, more, s.cache, s.ledger, s.source, s.datasets))
}

// examined runs the doctor and answers its findings by check, with the exit code.
func examined(t *testing.T, config string, args ...string) (map[string]finding, int) {
	t.Helper()
	r := prewarm(t, "", append([]string{"doctor", "--json", "-c", config}, args...)...)
	byCheck := map[string]finding{}
	for _, f := range document(t, r.out)["checks"].([]any) {
		m := f.(map[string]any)
		remedy, _ := m["remedy"].(string)
		byCheck[m["check"].(string)] = finding{m["check"].(string), m["status"].(string), m["detail"].(string), remedy}
	}
	require.NotEmpty(t, byCheck, r.err)
	return byCheck, r.code
}

func TestMigrateAndDoctorOnHealthyServers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := s.file(t, "")
	found, code := examined(t, file)
	require.Zero(t, code)
	require.Equal(t, warn, found["ledger schema"].Status, "serve would migrate it")

	r := prewarm(t, "", "migrate", "-c", file)
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "from version 0 to")
	require.Contains(t, prewarm(t, "", "migrate", "-c", file).out, "is up to date")
	require.NotEmpty(t, document(t, prewarm(t, "", "migrate", "--json", "-c", file).out)["to"])

	found, code = examined(t, file, "--shop=7")
	require.Zero(t, code, "%v", found)
	for _, check := range []string{"config", "queue", "cache", "ledger", "ledger schema", "ledger grants", "clock", "source main", "dataset shop", "dataset users"} {
		require.Equal(t, ok, found[check].Status, "%s: %+v", check, found[check])
	}
	require.Contains(t, found["dataset users"].Detail, "shop 7 has 3 rows")
	require.NotContains(t, found, "shop 7")
	found, code = examined(t, file, "--shop=70")
	require.Zero(t, code)
	require.Equal(t, finding{"shop 70", warn, "has no row in any dataset", "see that it is the id which the source's tables have for the shop"}, found["shop 70"])
	table := prewarm(t, "", "doctor", "-c", file)
	require.Zero(t, table.code)
	require.Regexp(t, `(?m)^ledger grants +ok `, table.out)
}

func TestDoctorNamesWhatIsWrongAndTheRemedy(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.queue = testenv.OwnRedis(t, "--maxmemory-policy", "allkeys-lru").URL
	s.datasets = `
  - {name: shop, query: "SELECT id, nmea FROM shops WHERE id = :shop", key: "shop:{id}"}
  - {name: users, table: users, shop: shop_id, by: [user_id], columns: [user_id, nikc], key: "user:{shop}:{user_id}"}
`
	file := s.file(t, "")
	require.Zero(t, prewarm(t, "", "migrate", "-c", file).code)
	execute(t, s.ledger, "DROP TABLE pods")
	found, code := examined(t, file)
	require.Equal(t, exitFailed, code)
	for check, want := range map[string]string{"queue": "allkeys-lru", "dataset shop": "nmea", "dataset users": "nikc", "ledger grants": "pods"} {
		require.Equal(t, fail, found[check].Status, "%s: %+v", check, found[check])
		require.Contains(t, found[check].Detail, want)
	}
	require.Contains(t, found["queue"].Remedy, "noeviction")
	require.Equal(t, ok, found["cache"].Status)

	found, _ = examined(t, s.file(t, ", allow_eviction: true"))
	require.Equal(t, warn, found["queue"].Status)
}

func TestDoctorGoesOnPastServersThatAreDown(t *testing.T) {
	t.Parallel()
	s := stage{queue: "redis://:hunter2@127.0.0.1:1/0", cache: "redis://127.0.0.1:1/0", ledger: "u:hunter2@tcp(127.0.0.1:1)/ledger",
		source: "u:hunter2@tcp(127.0.0.1:1)/shops", datasets: goodDatasets}
	found, code := examined(t, s.file(t, ""))
	require.Equal(t, exitFailed, code)
	for _, check := range []string{"queue", "cache", "ledger", "source main"} {
		require.Equal(t, fail, found[check].Status, check)
		require.NotContains(t, fmt.Sprint(found[check]), "hunter2")
	}
	require.Equal(t, warn, found["dataset users"].Status, "it was not checked")
	require.Equal(t, exitFailed, prewarm(t, "", "migrate", "-c", s.file(t, "")).code)
}

func TestDoctorSaysWhatIsWrongWithACertificate(t *testing.T) {
	t.Parallel()
	s, a := newStage(t), testenv.NewAuthority(t)
	cert, key := a.Issue("server")
	server := testenv.GrantsMySQL(t, "--ssl-ca="+a.File, "--ssl-cert="+cert, "--ssl-key="+key)
	execute(t, server.DSN, "CREATE USER warm IDENTIFIED BY 'p' REQUIRE X509", "GRANT ALL ON test.* TO warm",
		"CREATE TABLE shops (id BIGINT PRIMARY KEY, name VARCHAR(20) NOT NULL)",
		"CREATE TABLE users (shop_id BIGINT, user_id BIGINT, nick VARCHAR(20), PRIMARY KEY (shop_id, user_id))")
	file := func(tls string) string {
		dsn := "warm:p@tcp(" + server.Addr + ")/test"
		return write(t, "prewarm.yaml", fmt.Sprintf("queue: {url: %q}\ncache: {url: %q}\nledger: {dsn: %q%s}\nsources: {main: {dsn: %q%s}}\ndatasets:%s",
			s.queue, s.cache, dsn, tls, dsn, tls, s.datasets))
	}
	clientCert, clientKey := a.Issue("client")
	found, code := examined(t, file(fmt.Sprintf(", tls: {ca_file: %q, cert_file: %q, key_file: %q}", a.File, clientCert, clientKey)))
	require.Zero(t, code, "%v", found)
	require.Equal(t, ok, found["dataset users"].Status)

	found, code = examined(t, file(fmt.Sprintf(", tls: {ca_file: %q}", a.File)))
	require.Equal(t, exitFailed, code)
	require.Contains(t, found["ledger"].Remedy, "needs ledger.tls.cert_file")
	require.Contains(t, found["source main"].Remedy, "needs sources.main.tls.cert_file")
	found, _ = examined(t, file(", tls: {}"))
	require.Contains(t, found["source main"].Detail, "has a certificate of an unknown authority")
	require.Contains(t, found["source main"].Remedy, "sources.main.tls.ca_file")
	require.Contains(t, found["ledger"].Remedy, "ledger.tls.ca_file")
}
