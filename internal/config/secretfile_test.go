package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAVariableMayBeAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("p@ss ${X}\n"), 0o600))
	text := "queue: {url: \"redis://h/0\"}\nledger: {dsn: \"u:${PW}@tcp(h)/l\"}\nsources: {main: {dsn: \"u@tcp(h)/s\"}}\ndatasets:\n  - {name: d, query: \"SELECT id FROM t WHERE id = :shop\", key: \"{id}\"}\n"
	path := filepath.Join(dir, "prewarm.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))

	c, err := Load(path, []string{"PW_FILE=" + secret})
	require.NoError(t, err)
	require.Equal(t, "u:p@ss ${X}@tcp(h)/l", c.Ledger.DSN, "what a file holds is taken as it is")
	c, err = Load(path, []string{"PW=mine", "PW_FILE=" + secret})
	require.NoError(t, err)
	require.Contains(t, c.Ledger.DSN, "mine")
	_, err = Load(path, []string{"PW_FILE=" + secret + ".none"})
	require.ErrorContains(t, err, "PW_FILE: cannot read")
	require.NoError(t, os.WriteFile(secret, make([]byte, maxSecret+1), 0o600))
	_, err = Load(path, []string{"PW_FILE=" + secret})
	require.ErrorContains(t, err, "larger")
}

func TestADatabasesPasswordMayBeAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("p/s@s:1\n"), 0o600))
	text := `queue: {url: "redis://h/0"}
ledger: {dsn: "u@tcp(h)/l?charset=utf8mb4", password_file: secret, tls: {ca_file: ca.pem}}
sources:
  main: {dsn: "r@tcp(h)/s", password_file: secret, replicas: ["m@tcp(r1)/", "m:own@tcp(r2)/"], tls: {cert_file: c.pem, key_file: k.pem}}
datasets: [{name: d, query: "SELECT id FROM t WHERE id = :shop", key: "{id}"}]
`
	path := filepath.Join(dir, "prewarm.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	c, err := Load(path, nil)
	require.NoError(t, err)
	require.Equal(t, "u:p/s@s:1@tcp(h)/l?charset=utf8mb4", c.Ledger.DSN)
	main := c.Sources["main"]
	require.Equal(t, "r:p/s@s:1@tcp(h)/s", main.DSN)
	require.Equal(t, []string{"m:p/s@s:1@tcp(r1)/", "m:own@tcp(r2)/"}, main.Replicas)
	require.Equal(t, filepath.Join(dir, "ca.pem"), c.Ledger.TLS.CAFile)
	require.Equal(t, filepath.Join(dir, "k.pem"), main.TLS.KeyFile)
	require.NotContains(t, show(c.Redacted()), "s@s")
	_, err = Load(path, []string{"PREWARM_LEDGER_PASSWORD=other"})
	require.ErrorContains(t, err, "ledger.password: is given twice, here and in ledger.password_file")
}
