package app_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// previous is the commit of the release before this one. A release changes it to its predecessor.
const previous = "b25856c05a3c3d778f33167bbf84492943a6fe44"

// previousRelease builds the release before this one from the repository's history.
func previousRelease(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	top, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil || exec.Command("git", "cat-file", "-e", previous).Run() != nil {
		testenv.Skip(t, errors.New("the repository's history is not here; clone it whole to test an upgrade"))
	}
	archive := exec.Command("git", "archive", "--format=tar", "-o", filepath.Join(dir, "src.tar"), previous)
	archive.Dir = string(top[:len(top)-1])
	for _, cmd := range []*exec.Cmd{archive,
		exec.Command("tar", "-xf", "src.tar"),
		exec.Command("go", "build", "-tags", "noembed", "-o", "prewarm", "./cmd/prewarm")} {
		if cmd.Dir == "" {
			cmd.Dir = dir
		}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s: %s", cmd, out)
	}
	return filepath.Join(dir, "prewarm")
}

// An upgrade pod by pod: one of the previous release begins an evening, one of this release changes the schema under it
// and works beside it, and the old one is started again on the new schema, as in a rollback.
func TestAPodOfThePreviousReleaseAndOneOfThisWorkOnOneEvening(t *testing.T) {
	t.Parallel()
	program := previousRelease(t)
	c := newCluster(t, "page_rows: 20", "unit_rows: 1000") // a field that the release before does not know would be refused
	seed(t, c.source, 1001, manyRows)
	seed(t, c.source, 1002, manyRows/3)
	config := c.config
	c.without(undisturbed) // and so would this
	old := c.start(program)
	first := warming(t, c)
	c.midway(old.id, 500)
	before := c.config
	c.config = config
	c.serve()
	require.Equal(t, 1, c.number("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'events'"))
	c.becomes(failover, 1001, "ready")

	second := ka(1002, time.Now().Add(time.Minute))
	c.announce(second)
	c.until(soon, "both at work", func() bool {
		return c.number("SELECT COUNT(DISTINCT owner) FROM units JOIN runs USING (run_id) WHERE shop_id = '1002' AND owner <> ''") == 2
	})
	c.stop(old)
	c.config = before
	c.start(program)
	c.becomes(failover, 1002, "ready")
	requireWarm(t, c.cache, expect(t, c.source, 1001), first.ends())
	requireWarm(t, c.cache, expect(t, c.source, 1002), second.ends())
	require.Zero(t, c.number("SELECT COUNT(*) FROM events WHERE stage = 'cache_lost'"), "what the old one has written counts as there")
}

// without makes pods that are started from now on use a configuration without a line.
func (c *cluster) without(line string) {
	c.t.Helper()
	text, err := os.ReadFile(c.config)
	require.NoError(c.t, err)
	c.config = filepath.Join(c.t.TempDir(), "prewarm.yaml")
	require.NoError(c.t, os.WriteFile(c.config, bytes.Replace(text, []byte(line), nil, 1), 0o600))
}
