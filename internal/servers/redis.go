package servers

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"strings"
)

// RedisConfig says how StartRedis starts its server.
type RedisConfig struct {
	Dir    string   // the server makes its directory in here; "": os.TempDir. A socket's path is limited to 100 bytes or so
	Socket bool     // listen on a socket in the server's directory instead of a loopback port
	Args   []string // more of redis-server's arguments, such as "--maxmemory-policy", "allkeys-lru"
}

// StartRedis starts a private, empty redis-server without persistence (unless Args ask for it). Close ends it.
func StartRedis(ctx context.Context, cfg RedisConfig) (*Server, error) {
	program, err := Find("redis-server", "redis-server", "valkey-server")
	if err != nil {
		return nil, err
	}
	s := &Server{ready: redisReady}
	s.start = func(s *Server) *exec.Cmd {
		args := []string{"--dir", s.dir, "--save", "", "--appendonly", "no", "--daemonize", "no"}
		if s.Network == "unix" {
			args = append(args, "--port", "0", "--unixsocket", s.Addr)
		} else {
			_, port, _ := net.SplitHostPort(s.Addr)
			args = append(args, "--port", port, "--bind", "127.0.0.1")
		}
		return exec.Command(program, append(args, cfg.Args...)...)
	}
	return newServer(ctx, s, "redis", cfg.Dir, cfg.Socket)
}

// RedisURL is the URL of one of a Redis server's numbered databases.
func (s *Server) RedisURL(db int) string {
	if s.Network == "unix" {
		u := url.URL{Scheme: "unix", Path: s.Addr, RawQuery: fmt.Sprintf("db=%d", db)}
		return u.String()
	}
	return fmt.Sprintf("redis://%s/%d", s.Addr, db)
}

// redisReady wants PONG: while a server reads its files it answers LOADING.
func redisReady(conn net.Conn) error {
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	// A server with a password serves as well; the caller who set one has it.
	if !strings.HasPrefix(line, "+PONG") && !strings.HasPrefix(line, "-NOAUTH") {
		return fmt.Errorf("redis answered %q", strings.TrimSpace(line))
	}
	return nil
}
