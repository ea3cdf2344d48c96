package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const minimal = `
queue: {url: "redis://localhost:6379/0"}
ledger: {dsn: "u:p@tcp(localhost:3306)/prewarm"}
sources: {main: {dsn: "u:p@tcp(localhost:3306)/shops"}}
datasets:
  - {name: shop, query: "SELECT id FROM shops WHERE id = :shop", key: "shop:{id}"}
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prewarm.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func problemsOf(t *testing.T, text string, environ ...string) []Problem {
	t.Helper()
	_, err := Load(write(t, text), environ)
	var e *Error
	require.ErrorAs(t, err, &e)
	return e.Problems
}

func TestMinimalFileGetsEveryDefault(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, minimal), nil)
	require.NoError(t, err)
	want := filled()
	require.Equal(t, want.Policy, c.Policy)
	require.Equal(t, want.Width, c.Width)
	require.Equal(t, want.HTTP, c.HTTP)
	require.Equal(t, c.Queue, *c.Cache)
	require.True(t, *c.Ledger.Migrate)
	require.Equal(t, 16, c.Ledger.Pool)
	require.Equal(t, 36, c.Sources["main"].Pool)
	require.Equal(t, 10*time.Second, c.Sources["main"].StatementTime)
}

func filled() Config {
	c := Defaults()
	c.Fill()
	return c
}

func TestExampleSaysTheDefaults(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, string(Example)), []string{"PREWARM_DB_PASSWORD=pa55"})
	require.NoError(t, err)
	want := filled()
	want.HTTP.Tokens = []Token{}
	require.Equal(t, want.Policy, c.Policy)
	require.Equal(t, want.Width, c.Width)
	require.Equal(t, want.HTTP, c.HTTP)
	require.Equal(t, "prewarm:pa55@tcp(localhost:3306)/prewarm", c.Ledger.DSN)
	require.Len(t, c.Datasets, 3)
	require.Equal(t, []string{"user_id"}, c.Datasets[2].By)
}

func TestExampleNamesEveryField(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"cluster", "addrs", "username", "password_file", "allow_eviction", "pool", "statement_time",
		"min_rows", "ready_before", "lead", "after_end", "jitter", "lease", "page_rows", "page_time", "page_rows_min", "page_rows_max", "page_bytes", "unit_rows", "max_rejects",
		"max_broadcast", "max_ahead", "pod_dead", "attempts", "first", "max_per_pod", "listen", "token_file", "changed_at"} {
		require.Contains(t, string(Example), name+":")
	}
}

func TestZeroAndEmptySectionsAreNotDefaults(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, minimal+"policy: {warm_when: {min_rows: 0}, max_rejects: 0, expire:}\nwidth:\n"), nil)
	require.NoError(t, err)
	require.Zero(t, c.Policy.WarmWhen.MinRows, "0 means every shop")
	require.Zero(t, c.Policy.MaxRejects)
	require.Equal(t, Defaults().Policy.Expire, c.Policy.Expire, "an empty section changes nothing")
	require.Equal(t, Defaults().Width, c.Width)
}

func TestAPageSizeThatIsChosenIsKeptTo(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]int{
		"{}": 5000, "{page_rows: 500}": 5000, "{page_rows: 20}": 20, "{page_rows: 800}": 800, "{page_rows: 20, page_rows_max: 900}": 900,
	} {
		c, err := Load(write(t, minimal+"policy: "+policy+"\n"), nil)
		require.NoError(t, err)
		require.Equal(t, want, c.Policy.PageRowsMax, policy)
	}
}

func TestEveryProblemIsReportedWithLineAndRemedy(t *testing.T) {
	t.Parallel()
	found := problemsOf(t, minimal+`policy:
  leed: 3h
  lease: 10 minutes
  page_rows: 1.9
  retry: 3
width: {max: many}
htttp: {}
`)
	lines := make([]string, len(found))
	for i, p := range found {
		lines[i] = p.String()
	}
	require.Equal(t, []string{
		`line 8: policy.leed: unknown field; did you mean "lead"?`,
		`line 9: policy.lease: must be a duration such as 30s, 10m or 1h30m`,
		`line 10: policy.page_rows: must be a whole number`,
		`line 11: policy.retry: must be a mapping (name: value), not a single value`,
		`line 12: width.max: must be a whole number`,
		`line 13: htttp: unknown field; did you mean "http"?`,
	}, lines)
}

func TestVariablesAreExpandedInValuesOnly(t *testing.T) {
	t.Parallel()
	text := strings.Replace(minimal, "u:p@tcp", "u:${DB_PW}@tcp", 1) + `
width: {max: "${WIDTH}"}
http: {tokens: [{name: ops, role: operator, token: "a$${b}c"}]}
`
	c, err := Load(write(t, text), []string{"DB_PW=x: {y", "WIDTH=7"})
	require.NoError(t, err)
	require.Equal(t, "u:x: {y@tcp(localhost:3306)/prewarm", c.Ledger.DSN, "a value is never read as YAML")
	require.Equal(t, 7, c.Width.Max)
	require.Equal(t, "a${b}c", c.HTTP.Tokens[0].Token)

	found := problemsOf(t, text)
	require.Len(t, found, 2)
	require.Equal(t, "line 3: ledger.dsn: environment variable DB_PW is not set; set it, or write the value here", found[0].String())
	require.Equal(t, "width.max", found[1].Field)
	require.Contains(t, problemsOf(t, strings.ReplaceAll(text, "${DB_PW}", "${DB-PW"))[0].Text, "not ${NAME}")
}

func TestEnvironmentOverridesTheFile(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, minimal), []string{
		"PREWARM_QUEUE_URL=redis://queue:6379/0", "PREWARM_CACHE_URL=redis://cache:6379/0", "PREWARM_CACHE_ADDRS=a:1, b:2",
		"PREWARM_CACHE_CLUSTER=true", "PREWARM_LEDGER_DSN=a:b@tcp(c:1)/d", "PREWARM_LEDGER_MIGRATE=false",
		"PREWARM_SOURCES_MAIN_DSN=e:f@tcp(g:1)/h", "PREWARM_SOURCES_OTHER_DSN=i:j@tcp(k:1)/l", "PREWARM_SOURCES_OTHER_POOL=9",
		"PREWARM_WIDTH_MAX=3", "PREWARM_POLICY_EXPIRE_AFTER_END=1m", "PREWARM_POLICY_LEAD=", "PREWARM_PORT=tcp://10.0.0.1:80",
		"PREWARM_HTTP_LISTEN=0.0.0.0:1", "PREWARM_HTTP_LISTEN=127.0.0.1:9090",
	})
	require.NoError(t, err)
	require.Equal(t, "redis://queue:6379/0", c.Queue.URL)
	require.Equal(t, Redis{URL: "redis://cache:6379/0", Cluster: true, Addrs: []string{"a:1", "b:2"}}, *c.Cache)
	require.Equal(t, "a:b@tcp(c:1)/d", c.Ledger.DSN)
	require.False(t, *c.Ledger.Migrate)
	require.Equal(t, "e:f@tcp(g:1)/h", c.Sources["main"].DSN)
	require.Equal(t, 9, c.Sources["other"].Pool)
	require.Equal(t, 3, c.Width.Max)
	require.Equal(t, time.Minute, c.Policy.Expire.AfterEnd)
	require.Equal(t, 3*time.Hour, c.Policy.Lead, "an empty variable counts as not set")
	require.Equal(t, "127.0.0.1:9090", c.HTTP.Listen, "the last entry wins")

	found := problemsOf(t, minimal, "PREWARM_WIDTH_MAX=lots", "PREWARM_POLICY_LEAD=soon")
	require.Len(t, found, 2)
	require.Equal(t, "PREWARM_POLICY_LEAD", found[0].Field)
	require.Equal(t, "PREWARM_WIDTH_MAX", found[1].Field)
}

func TestSecretsAreReadFromFilesNextToTheConfiguration(t *testing.T) {
	t.Parallel()
	path := write(t, minimal+"http: {tokens: [{name: ops, role: operator, token_file: token}]}\n")
	_, err := Load(path, nil)
	require.ErrorContains(t, err, "http.tokens[0].token_file: cannot read")

	secret := filepath.Join(filepath.Dir(path), "token")
	require.NoError(t, os.WriteFile(secret, []byte("s3cret\n"), 0o600))
	c, err := Load(path, []string{"PREWARM_QUEUE_PASSWORD_FILE=" + secret})
	require.NoError(t, err)
	require.Equal(t, "s3cret", c.HTTP.Tokens[0].Token)
	require.Equal(t, "s3cret", c.Queue.Password)
	require.Equal(t, "s3cret", c.Cache.Password, "the cache is the queue's Redis")
}

func TestFilesThatAreNoConfigurationAreRefusedInWords(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"text": "hello", "list": "- a", "broken": "queue: {url: [", "two documents": minimal + "---\nqueue: {}\n",
		"tabs": "queue:\n\turl: x", "twice": "width: {}\nwidth: {}\n", "alias of itself": "a: &a {b: *a}\nqueue: *a\n",
		"no anchor": "queue: *none\n", "binary": "\x00\x01\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotEmpty(t, problemsOf(t, text))
		})
	}
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil)
	require.ErrorContains(t, err, "there is no such file")
}

func TestAnchorsAndMergesWork(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, minimal+`
  - &one {name: a, query: "SELECT id FROM t WHERE id = :shop", key: "a:{id}"}
  - {<<: *one, name: b, key: "b:{id}"}
`), nil)
	require.NoError(t, err)
	require.Equal(t, "b", c.Datasets[2].Name)
	require.Equal(t, c.Datasets[1].Query, c.Datasets[2].Query)
}

func TestErrorsShowNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, text := range []string{
		"queue: {url: \"redis://:hunter2@ho st:6379/0\"}\nledger: {dsn: \"u:hunter2@tcp(x)prewarm\"}\n",
		minimal + "http: {tokens: [{name: a, role: hunter2, token: \"hunter2 x\"}, {token: hunter2}, {token: hunter2}]}\n",
		"ledger:\n  dsn: u:hunter2@tcp(x)/p\n  pol: 3\n",
		"ledger: {dsn: u:hunter2@tcp(x)/p, pool: hunter2, migrate: hunter2}\npolicy: {lead: hunter2}\n",
		"ledger:\n  dsn: \"u:hunter2@tcp(x)/p\nqueue: {}\n",
		"ledger:\n  dsn: 'hunter2' hunter2\n",
		"ledger: hunter2\nsources: hunter2\n",
	} {
		_, err := Load(write(t, text), nil)
		var e *Error
		require.ErrorAs(t, err, &e, text)
		require.NotContains(t, err.Error(), secret, text)
	}
}
