package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestAShopIsWarmedOverConnectionsWithCertificates(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	serverCert, serverKey := a.Issue("server")
	server := testenv.GrantsMySQL(t, "--ssl-ca="+a.File, "--ssl-cert="+serverCert, "--ssl-key="+serverKey)
	c := newCluster(t)
	c.source = openMySQL(t, server.DSN)
	c.change(schema...)
	c.change("CREATE DATABASE ledger CHARACTER SET utf8mb4", "CREATE USER warm IDENTIFIED BY 'p@ss' REQUIRE X509",
		"GRANT ALL ON test.* TO warm", "GRANT ALL ON ledger.* TO warm", "GRANT ALL ON *.* TO warm")
	seed(t, c.source, 1001, 100)
	c.ledger = openMySQL(t, strings.Replace(server.DSN, "/test", "/ledger", 1))
	dsn := "warm@tcp(" + server.Addr + ")/"
	c.config = c.write(dsn+"ledger", dsn+"test")
	text, err := os.ReadFile(c.config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(c.config), "password"), []byte("p@ss\n"), 0o600))
	cert, key := a.Issue("client")
	tls := fmt.Sprintf(", password_file: password, tls: {ca_file: %q, cert_file: %q, key_file: %q}", a.File, cert, key)
	secured := strings.NewReplacer(fmt.Sprintf("%q}\nsources", dsn+"ledger"), fmt.Sprintf("%q%s}\nsources", dsn+"ledger", tls),
		fmt.Sprintf("%q}}\n", dsn+"test"), fmt.Sprintf("%q, replicas: [%q]%s}}\n", dsn+"test", dsn, tls)).Replace(string(text))
	require.NoError(t, os.WriteFile(c.config, []byte(secured), 0o600))

	p := c.serve()
	c.announce(ka(1001, time.Now().Add(30*time.Minute)))
	c.becomes(soon, 1001, "ready")
	c.fresh(1001)
	c.until(soon, "the replica was asked", func() bool {
		return strings.Contains(p.log.String(), "signal=replica_lag{main/1}") && strings.Contains(p.log.String(), "replication does not run")
	})
}
