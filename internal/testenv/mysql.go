package testenv

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/prewarm-go/prewarm/internal/servers"
)

var sharedMySQL shared

// dropTime bounds the removal of a test's schema.
const dropTime = 30 * time.Second

// MySQL is the go-sql-driver DSN of an empty schema that is dropped when the test ends.
func MySQL(t testing.TB) string {
	t.Helper()
	if dsn := os.Getenv(EnvMySQL); dsn != "" {
		return newSchema(t, dsn)
	}
	server := sharedMySQL.get(t, func() (*servers.Server, error) {
		return servers.StartMySQL(context.Background(), servers.MySQLConfig{})
	})
	return newSchema(t, server.MySQLDSN(""))
}

// MySQLServer is a MySQL or MariaDB for one test alone.
type MySQLServer struct {
	DSN  string // of the schema "test"
	Addr string // host:port
	own
}

// OwnMySQL starts a MySQL or MariaDB for this test alone; args are more of the server's own arguments.
func OwnMySQL(t testing.TB, args ...string) *MySQLServer {
	t.Helper()
	server, err := servers.StartMySQL(t.Context(), servers.MySQLConfig{Schemas: []string{"test"}, Args: args})
	o := newOwn(t, server, err)
	return &MySQLServer{DSN: server.MySQLDSN("test"), Addr: server.Addr, own: o}
}

// GrantsMySQL starts a MySQL or MariaDB for this test alone whose users and rights are real. DSN is root's; args are more of the
// server's own arguments.
func GrantsMySQL(t testing.TB, args ...string) *MySQLServer {
	t.Helper()
	server, err := servers.StartMySQL(t.Context(), servers.MySQLConfig{Grants: true, Schemas: []string{"test"}, Args: args})
	o := newOwn(t, server, err)
	return &MySQLServer{DSN: server.MySQLDSN("test"), Addr: server.Addr, own: o}
}

// BinlogMySQL is GrantsMySQL with a binlog in row format, and GTIDs: MariaDB always has them, and does not know how MySQL is asked for
// its own.
func BinlogMySQL(t testing.TB, args ...string) *MySQLServer {
	t.Helper()
	return GrantsMySQL(t, append([]string{"--log-bin=log", "--binlog-format=ROW", "--server-id=1", "--loose-gtid-mode=ON", "--loose-enforce-gtid-consistency=ON"}, args...)...)
}

func newSchema(t testing.TB, dsn string) string {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatalf("%s: %v", EnvMySQL, err)
	}
	schema := "prewarm_test_" + strings.ToLower(rand.Text()[:12])
	if err := exec(t.Context(), cfg, "CREATE DATABASE "+schema+" CHARACTER SET utf8mb4"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dropTime)
		defer cancel()
		if err := exec(ctx, cfg, "DROP DATABASE "+schema); err != nil {
			t.Error(err)
		}
	})
	fresh := cfg.Clone()
	fresh.DBName = schema
	return fresh.FormatDSN()
}

func exec(ctx context.Context, cfg *mysql.Config, statement string) error {
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
