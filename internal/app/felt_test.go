package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/prewarm-go/prewarm/tasks"
)

// ownSource gives the cluster a source server that no other test reads from.
func (c *cluster) ownSource() (dsn string) {
	c.t.Helper()
	text, err := os.ReadFile(c.config)
	require.NoError(c.t, err)
	before, rest, _ := bytes.Cut(text, []byte(`sources: {main: {dsn: "`))
	_, after, _ := bytes.Cut(rest, []byte(`"`))
	dsn = testenv.OwnMySQL(c.t).DSN
	c.config = filepath.Join(c.t.TempDir(), "prewarm.yaml")
	require.NoError(c.t, os.WriteFile(c.config, bytes.Join([][]byte{before, []byte(`sources: {main: {dsn: "`), []byte(dsn), []byte(`"`), after}, nil), 0o600))
	c.source = openMySQL(c.t, dsn)
	for _, table := range schema {
		_, err := c.source.ExecContext(c.t.Context(), table)
		require.NoError(c.t, err)
	}
	return dsn
}

// widthNow is what a pod says of the width.
type widthNow struct {
	Paused bool   `json:"paused"`
	Reason string `json:"reason"`
	Guard  []struct {
		Signal string `json:"signal"`
		Zone   string `json:"zone"`
		Reason string `json:"reason"`
	} `json:"guard"`
}

func (p *pod) width(t *testing.T) (w widthNow) {
	t.Helper()
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(p.url + "/v1/width")
	require.NoError(t, err)
	defer res.Body.Close()
	require.NoError(t, json.NewDecoder(res.Body).Decode(&w))
	return w
}

func TestTheLeaderKnowsWhatThePagesOfAllPodsTakeAndGivesWayToACrowd(t *testing.T) {
	t.Parallel()
	c := newCluster(t, smallPage)
	c.without(undisturbed)
	dsn := c.ownSource()
	seed(t, c.source, 1001, 2*manyRows)
	seed(t, c.source, 1002, 10)
	p := c.inProcess()
	other := c.serve()
	c.announce(ka(1001, time.Now().Add(time.Minute)))
	known := map[string]bool{"pods_busy": runtime.GOOS != "linux", "pods_cpu": runtime.GOOS != "linux"}
	c.until(soon, "the time of a row is known, and how busy pods are", func() bool {
		for _, s := range p.width(t).Guard {
			known[s.Signal] = true
		}
		return known["page_time{users}"] && known["pods_busy"] && known["pods_cpu"]
	})
	require.False(t, p.width(t).Paused, "our own reads are no crowd")

	// Thousands of reads a second, where there were none.
	many := openMySQL(t, dsn+"?multiStatements=true")
	crowd, leave := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	readers.Go(func() {
		for crowd.Err() == nil {
			_, _ = many.ExecContext(crowd, strings.Repeat("SELECT 1;", 200))
		}
	})
	c.until(soon, "a crowd is given way to", func() bool {
		w := p.width(t)
		return w.Paused && strings.Contains(w.Reason, "mysql_reads{main}") && other.width(t).Paused
	})
	c.announce(ka(1002, time.Now().Add(time.Minute)))
	c.until(soon, "what was announced is not planned either", func() bool {
		put, err := c.inspector.ListRetryTasks(tasks.QueueIntake)
		require.NoError(t, err)
		return slices.ContainsFunc(put, func(x *asynq.TaskInfo) bool { return strings.Contains(x.LastErr, "the guard says stop") })
	})
	require.Zero(t, c.number("SELECT COUNT(*) FROM units JOIN runs USING (run_id) WHERE shop_id = '1002'"))
	leave()
	readers.Wait()
	rows := c.number("SELECT SUM(rows_done) FROM units")
	c.until(soon, "the crowd has gone", func() bool { return !p.width(t).Paused })
	c.until(failover, "it is planned", func() bool {
		return c.number("SELECT COUNT(*) FROM units JOIN runs USING (run_id) WHERE shop_id = '1002'") > 0
	})
	c.until(failover, "the work goes on", func() bool {
		_, state, _ := c.run(1001)
		return state == "ready" || c.number("SELECT SUM(rows_done) FROM units") > rows
	})
}
