package servers

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// EnvMySQLD names the program that StartMySQL starts instead of the mariadbd or mysqld that it finds.
const EnvMySQLD = "PREWARM_MYSQLD"

// MySQLConfig says how StartMySQL starts its server.
type MySQLConfig struct {
	Dir     string   // the server makes its directory in here; "": os.TempDir
	Socket  bool     // listen on a socket in the server's directory only; otherwise on a loopback port as well
	Schemas []string // schemas that exist once the server is ready
	Args    []string // more of the server's arguments
	Grants  bool     // users and rights are real, and root may do all; otherwise everybody may do everything
	Spare   string   // a port for the caller alone, who gets in there when all connections are used up; "": none
}

// StartMySQL starts a private, empty mariadbd or mysqld that lets the user root in without a password. Close ends it.
func StartMySQL(ctx context.Context, cfg MySQLConfig) (*Server, error) {
	programs := []string{"mariadbd", "mysqld"}
	if named := os.Getenv(EnvMySQLD); named != "" {
		programs = []string{named}
	}
	program, err := Find("mariadb-server", programs...)
	if err != nil {
		return nil, err
	}
	version, err := exec.CommandContext(ctx, program, "--no-defaults", "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	b := mysqlBuild{program: program, oracle: !strings.Contains(string(version), "MariaDB"), cfg: cfg}
	if cfg.Grants && !b.oracle {
		if b.installer, err = Find("mariadb-server", "mariadb-install-db", "mysql_install_db"); err != nil {
			return nil, err
		}
	}
	return newServer(ctx, &Server{ready: mysqlReady, prepare: b.prepare, start: b.start}, "mysql", cfg.Dir, cfg.Socket)
}

// MySQLDSN is the go-sql-driver DSN of a schema of the server; without a schema for "".
func (s *Server) MySQLDSN(schema string) string {
	return fmt.Sprintf("root@%s(%s)/%s", s.Network, s.Addr, schema)
}

// mysqlBuild is what StartMySQL found out about the program.
type mysqlBuild struct {
	program   string
	installer string // MariaDB's, if it needs its system tables
	oracle    bool   // MySQL: it needs its system tables, and has no TCP with --skip-grant-tables
	cfg       MySQLConfig
}

// prepare writes the statements that the server runs at every start, and the system tables. MariaDB mostly does without:
// with an empty data directory it is ready in a tenth of the time.
func (b mysqlBuild) prepare(ctx context.Context, dir string) error {
	var init strings.Builder
	if b.oracle || b.installer != "" {
		init.WriteString("CREATE USER IF NOT EXISTS 'root'@'%';\nGRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;\n")
	}
	if b.oracle && !b.cfg.Grants { // everybody may do everything, as on MariaDB without its tables
		init.WriteString("CREATE USER IF NOT EXISTS ''@'%';\nGRANT ALL ON *.* TO ''@'%';\n")
	}
	for _, schema := range b.cfg.Schemas {
		fmt.Fprintf(&init, "CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET utf8mb4;\n", schema)
	}
	if err := os.WriteFile(filepath.Join(dir, "init.sql"), []byte(init.String()), 0o600); err != nil {
		return err
	}
	for _, sub := range []string{"data", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	program, args := b.program, append(b.commonArgs(dir), "--initialize-insecure")
	switch {
	case b.installer != "":
		program, args = b.installer, append(b.commonArgs(dir), "--auth-root-authentication-method=normal", "--skip-test-db")
	case !b.oracle:
		return nil
	}
	if out, err := exec.CommandContext(ctx, program, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("make the server's system tables: %w: %s", err, out)
	}
	return nil
}

func (b mysqlBuild) commonArgs(dir string) []string {
	args := []string{
		"--no-defaults", // must be the first
		"--datadir=" + filepath.Join(dir, "data"),
		"--tmpdir=" + filepath.Join(dir, "tmp"),
	}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root")
	}
	return args
}

func (b mysqlBuild) start(s *Server) *exec.Cmd {
	args := append(b.commonArgs(s.dir),
		"--socket="+filepath.Join(s.dir, "sock"),
		"--pid-file="+filepath.Join(s.dir, "pid"),
		"--init-file="+filepath.Join(s.dir, "init.sql"),
		"--character-set-server=utf8mb4",
		"--max-connections=500",
		"--skip-log-bin",
		"--performance-schema=OFF",
		// Small and fast rather than durable: the data die with the directory.
		"--innodb-buffer-pool-size=64M",
		"--innodb-flush-log-at-trx-commit=0",
		"--innodb-doublewrite=0",
	)
	if s.Network == "unix" {
		args = append(args, "--skip-networking")
	} else {
		_, port, _ := net.SplitHostPort(s.Addr)
		args = append(args, "--bind-address=127.0.0.1", "--port="+port)
	}
	switch {
	case b.cfg.Spare != "" && b.oracle:
		args = append(args, "--admin-address=127.0.0.1", "--admin-port="+b.cfg.Spare)
	case b.cfg.Spare != "":
		args = append(args, "--extra-port="+b.cfg.Spare, "--extra-max-connections=50")
	}
	if b.oracle {
		args = append(args, "--mysqlx=OFF", "--secure-file-priv=NULL") // a package's folder for files may not be there
	} else {
		args = append(args, "--use-stat-tables=never") // without the tables it would look for their files at every statement
		if b.installer == "" {
			args = append(args, "--skip-grant-tables")
		}
	}
	return exec.Command(b.program, append(args, b.cfg.Args...)...)
}

// mysqlReady wants the server's greeting, which comes once it lets clients in. Byte 5 is the protocol version, 10; an
// error packet has 255 there.
func mysqlReady(conn net.Conn) error {
	head, err := bufio.NewReader(conn).Peek(5)
	if err != nil {
		return err
	}
	if head[4] != 10 {
		return fmt.Errorf("mysql greeted with packet type %d", head[4])
	}
	return nil
}
