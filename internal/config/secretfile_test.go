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
