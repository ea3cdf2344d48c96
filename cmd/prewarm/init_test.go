package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestInitWritesAFileThatTheDoctorApproves(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	execute(t, s.source, "INSERT INTO users SELECT 8, seq, 'n' FROM "+testenv.Numbers(1, 300), "CREATE TABLE codes (code INT PRIMARY KEY)")
	file := filepath.Join(t.TempDir(), "prewarm.yaml")
	args := []string{"init", "--dsn", s.source, "-c", file, "--queue", s.queue, "--cache", s.cache, "--ledger", s.ledger}
	r := prewarm(t, "", args...)
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "shop column: shop_id")
	require.Regexp(t, `(?m)^users +303 +users +pages`, r.out)
	require.Regexp(t, `(?m)^shops +1 +shops +whole`, r.out)
	require.Contains(t, r.err, "prewarm doctor -c "+file)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), "# - codes has no column of the shop")

	require.Zero(t, prewarm(t, "", "migrate", "-c", file).code)
	found, code := examined(t, file, "--shop=8")
	require.Zero(t, code, found)
	require.Contains(t, found["dataset users"].Detail, "shop 8 has 300 rows")

	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o600))
	r = prewarm(t, "", args...)
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, "--force")
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
	doc := document(t, prewarm(t, "", append(args, "--force", "--json", "--tables=users")...).out)
	require.Equal(t, "shop_id", doc["shop_column"])
	require.Len(t, doc["datasets"], 1)
	require.NotEmpty(t, doc["checks"])
	left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".prewarm-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestInitWritesReferencesInsteadOfPasswords(t *testing.T) {
	t.Parallel()
	server := testenv.GrantsMySQL(t)
	execute(t, server.DSN, "CREATE TABLE users (shop_id BIGINT, user_id BIGINT, PRIMARY KEY (shop_id, user_id))",
		"CREATE USER reader IDENTIFIED BY 'p@ss/w:rd'", "GRANT SELECT ON test.* TO reader")
	dsn, ok := config.SplitDSN(server.DSN)
	require.True(t, ok)
	dsn.User, dsn.Password = "reader", "p@ss/w:rd"
	file := filepath.Join(t.TempDir(), "prewarm.yaml")
	r := prewarm(t, "", "init", "--dsn", dsn.String(), "-c", file)
	require.Zero(t, r.code, r.err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotContains(t, r.out+r.err+string(text), "p@ss")
	require.Contains(t, string(text), "reader:${PREWARM_READER_PASSWORD}@")
	require.Contains(t, string(text), "prewarm:${PREWARM_LEDGER_PASSWORD}@"+dsn.Server+"/prewarm")
	require.Contains(t, r.err, "${PREWARM_READER_PASSWORD}")

	dsn.Password = "${MINE}"
	r = prewarmEnv(t, []string{"MINE=p@ss/w:rd"}, "", "init", "--dsn", dsn.String(), "--force", "-c", file)
	require.Zero(t, r.code, r.err)
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), ":${MINE}@")
	r = prewarmEnv(t, nil, "", "init", "--dsn", dsn.String(), "--force", "-c", file)
	require.Equal(t, exitFailed, r.code)
	require.NotContains(t, r.err, "p@ss")
}

func TestInitSaysWhatToDoNext(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := filepath.Join(t.TempDir(), "prewarm.yaml")
	for want, args := range map[string][]string{
		"user:password@tcp(host:3306)/schema": {"--dsn", "nonsense"},
		"check that it runs":                  {"--dsn", "u:hunter2@tcp(127.0.0.1:1)/s"},
		"no such tables":                      {"--dsn", s.source, "--tables=none"},
		"name another with --shop-column":     {"--dsn", s.source, "--shop-column=none"},
	} {
		r := prewarm(t, "", append([]string{"init", "-c", file}, args...)...)
		require.NotZero(t, r.code, want)
		require.Contains(t, r.err, want)
		require.NotContains(t, r.err, "hunter2")
		require.NoFileExists(t, file)
	}
}
