package mysqlconn_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// secured is a server with a certificate of an authority, and a user who needs one too.
func secured(t *testing.T, a *testenv.Authority, host ...string) *testenv.MySQLServer {
	t.Helper()
	cert, key := a.Issue("server", host...)
	s := testenv.GrantsMySQL(t, "--ssl-ca="+a.File, "--ssl-cert="+cert, "--ssl-key="+key)
	root, err := sql.Open("mysql", s.DSN)
	require.NoError(t, err)
	defer func() { require.NoError(t, root.Close()) }()
	for _, statement := range []string{
		"CREATE USER warm IDENTIFIED BY 'pass/w@rd:1' REQUIRE X509", "GRANT ALL ON test.* TO warm",
		"CREATE USER plain IDENTIFIED BY 'p'", "GRANT ALL ON test.* TO plain",
	} {
		_, err := root.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	return s
}

// opened tries a ledger and a source; what they say must agree.
func opened(t *testing.T, dsn string, tls *config.TLS) (asLedger, asSource error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	store, err := ledger.Open(ctx, config.Ledger{DSN: dsn, TLS: tls, Pool: 2})
	if asLedger = err; err == nil {
		require.NoError(t, store.Close())
	}
	src, err := source.Open(ctx, "main", config.Source{DSN: dsn, TLS: tls}, 1)
	if asSource = err; err == nil {
		require.NoError(t, src.Close())
	}
	return asLedger, asSource
}

func TestAUserWhoNeedsACertificateGetsIn(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	s := secured(t, a)
	cert, key := a.Issue("client")
	full := config.TLS{CAFile: a.File, CertFile: cert, KeyFile: key}
	stranger := testenv.NewAuthority(t)
	foreignCert, foreignKey := stranger.Issue("client")
	dsn := "warm:pass/w@rd:1@tcp(" + s.Addr + ")/test"
	asLedger, asSource := opened(t, dsn, &full)
	require.NoError(t, asLedger)
	require.NoError(t, asSource)
	for want, tls := range map[string]*config.TLS{
		".tls.ca_file":                           {CertFile: cert, KeyFile: key},
		"REQUIRE SSL or X509":                    nil,
		".tls.cert_file and key_file":            {CAFile: a.File},
		".tls.cert_file is valid, and of an aut": {CAFile: a.File, CertFile: foreignCert, KeyFile: foreignKey},
	} {
		asLedger, asSource := opened(t, dsn, tls)
		require.ErrorContains(t, asLedger, want)
		require.ErrorContains(t, asSource, want)
		for _, err := range []error{asLedger, asSource} {
			require.NotContains(t, err.Error(), "w@rd")
		}
	}
	asLedger, asSource = opened(t, "warm:wrong@tcp("+s.Addr+")/test", &full)
	require.ErrorContains(t, asLedger, "ledger.password_file; what the user REQUIREs")
	require.ErrorContains(t, asSource, "sources.main.password_file; what the user REQUIREs")
}

func TestTheServersCertificateIsChecked(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	s := secured(t, a, "db.example")
	dsn := "plain:p@tcp(" + s.Addr + ")/test"
	asLedger, asSource := opened(t, dsn, &config.TLS{CAFile: a.File})
	require.ErrorContains(t, asLedger, "set ledger.tls.server_name")
	require.ErrorContains(t, asSource, "set sources.main.tls.server_name")
	asLedger, asSource = opened(t, dsn, &config.TLS{CAFile: a.File, ServerName: "db.example"})
	require.NoError(t, asLedger)
	require.NoError(t, asSource)

	a.Lasts = -time.Minute
	expired := secured(t, a)
	asLedger, asSource = opened(t, "plain:p@tcp("+expired.Addr+")/test", &config.TLS{CAFile: a.File})
	require.ErrorContains(t, asLedger, "has a certificate that is not valid: renew it")
	require.ErrorContains(t, asSource, "has a certificate that is not valid")
}

func TestAServerWithoutTLSAndOneThatWantsItAreToldApart(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	without := testenv.GrantsMySQL(t, "--loose-skip-ssl", "--tls-version=") // MariaDB's word, and MySQL's
	asLedger, asSource := opened(t, without.DSN, &config.TLS{CAFile: a.File})
	require.ErrorContains(t, asLedger, "does not offer TLS: give the server a certificate, or remove ledger.tls")
	require.ErrorContains(t, asSource, "remove sources.main.tls")

	cert, key := a.Issue("server")
	strict := testenv.GrantsMySQL(t, "--ssl-ca="+a.File, "--ssl-cert="+cert, "--ssl-key="+key, "--require-secure-transport=ON")
	asLedger, asSource = opened(t, strict.DSN, nil)
	if without.MariaDB() { // it only refuses the user
		require.ErrorContains(t, asLedger, "a server that wants TLS, need ledger.tls")
		require.ErrorContains(t, asSource, "need sources.main.tls")
		return
	}
	require.ErrorContains(t, asLedger, "the server wants TLS: set ledger.tls")
	require.ErrorContains(t, asSource, " wants TLS: ")
	require.ErrorContains(t, asSource, "; set sources.main.tls")
}

// TestAPasswordDoesNotNeedTLS: at a user's first login MySQL's caching_sha2_password has it encrypted with a key of the server's, and knows
// the user after that.
func TestAPasswordDoesNotNeedTLS(t *testing.T) {
	t.Parallel()
	s := secured(t, testenv.NewAuthority(t))
	for range 2 {
		asLedger, asSource := opened(t, "plain:p@tcp("+s.Addr+")/test", nil)
		require.NoError(t, asLedger)
		require.NoError(t, asSource)
		asLedger, asSource = opened(t, "plain:wrong@tcp("+s.Addr+")/test", nil)
		require.ErrorContains(t, asLedger, `refuses user "plain"`)
		require.ErrorContains(t, asSource, `refuses user "plain"`)
	}
}

func TestUnreadableCertificatesAreNamed(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for want, tls := range map[string]config.TLS{
		".tls.ca_file: ":              {CAFile: empty},
		".tls.cert_file and key_file": {CertFile: empty, KeyFile: empty},
		".tls.ca_file: open":          {CAFile: empty + "x"},
	} {
		asLedger, asSource := opened(t, "u:p@tcp(127.0.0.1:1)/test", &tls)
		require.ErrorContains(t, asLedger, "ledger"+want)
		require.ErrorContains(t, asSource, "sources.main"+want)
	}
}
