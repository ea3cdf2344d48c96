package binlog_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/binlog"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// certificate is one for 127.0.0.1, its files, and a pool that believes it.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return path
	}
	parsed, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", raw), write("key.pem", "EC PRIVATE KEY", secret), pool
}

func TestALogIsReadOverTLS(t *testing.T) {
	t.Parallel()
	cert, key, pool := certificate(t)
	server := testenv.BinlogMySQL(t, "--ssl-cert="+cert, "--ssl-key="+key)
	db, plain := follow(t, server.DSN, func(cfg *mysql.Config) { cfg.TLS = &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"} })
	exec(t, db, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE USER reader IDENTIFIED BY 'se cret' REQUIRE SSL", "GRANT REPLICATION SLAVE ON *.* TO reader")
	until(t, plain, 3, nil)
	mariadb := testenv.IsMariaDB(t, db)

	cfg, err := mysql.ParseDSN(server.DSN)
	require.NoError(t, err)
	cfg.User, cfg.Passwd, cfg.DBName, cfg.MultiStatements = "reader", "se cret", "", true
	begin := func(c *tls.Config, optional bool) (*binlog.Stream, error) {
		cfg := cfg.Clone()
		cfg.TLS, cfg.AllowFallbackToPlaintext = c, optional
		return binlog.Open(t.Context(), binlog.Config{DSN: cfg, MariaDB: mariadb, ServerID: 1<<31 + 8, Position: plain.Position.String()})
	}
	_, err = begin(nil, false)
	require.ErrorContains(t, err, "1045", "it must come over TLS")
	require.NotContains(t, err.Error(), "se cret")
	_, err = begin(&tls.Config{ServerName: "127.0.0.1"}, false)
	require.ErrorContains(t, err, "certificate")
	for i, optional := range []bool{false, true} {
		s, err := begin(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}, optional)
		require.NoError(t, err)
		exec(t, db, fmt.Sprintf("INSERT INTO t VALUES (%d)", i))
		require.Len(t, until(t, s, i+1, columns(t, db, "t")), i+1)
		s.Close()
	}
}

func TestAServerWithoutTLSIsLeftUnlessThatIsAllowed(t *testing.T) {
	t.Parallel()
	server := testenv.BinlogMySQL(t, "--loose-skip-ssl", "--tls-version=")
	db, err := sql.Open("mysql", server.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	mariadb := testenv.IsMariaDB(t, db)
	cfg, err := mysql.ParseDSN(server.DSN)
	require.NoError(t, err)
	cfg.TLS = &tls.Config{InsecureSkipVerify: true}
	_, err = binlog.Open(t.Context(), binlog.Config{DSN: cfg, MariaDB: mariadb, ServerID: 9})
	require.ErrorContains(t, err, "does not offer TLS")
	cfg.AllowFallbackToPlaintext = true
	exec(t, db, "CREATE USER reader IDENTIFIED BY 'se cret'", "GRANT REPLICATION SLAVE ON *.* TO reader")
	for _, user := range []string{"root", "reader", "reader"} { // MySQL remembers a password that it was sent under its key, and then wants its hash only
		if cfg.User = user; user == "reader" {
			cfg.Passwd, cfg.DBName = "se cret", ""
		}
		s, err := binlog.Open(t.Context(), binlog.Config{DSN: cfg, MariaDB: mariadb, ServerID: 9, Position: testenv.BinlogPosition(t, db)})
		require.NoError(t, err)
		exec(t, db, "CREATE OR REPLACE VIEW v AS SELECT 1")
		events(t, s, 1)
		s.Close()
	}
}
