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

// PrometheusConfig says how StartPrometheus and StartAlertmanager start their servers.
type PrometheusConfig struct {
	Dir   string            // the server makes its directory in here; "": os.TempDir
	File  string            // the text of prometheus.yml or alertmanager.yml
	Files map[string]string // more files beside it, by name, such as rules
}

// StartPrometheus starts a private prometheus on a loopback port. Close ends it.
func StartPrometheus(ctx context.Context, cfg PrometheusConfig) (*Server, error) {
	return startHTTP(ctx, cfg, "prometheus", []string{"prometheus"}, "--storage.tsdb.path=")
}

// StartAlertmanager starts a private alertmanager, without a cluster, on a loopback port. Close ends it.
func StartAlertmanager(ctx context.Context, cfg PrometheusConfig) (*Server, error) {
	return startHTTP(ctx, cfg, "prometheus-alertmanager", []string{"prometheus-alertmanager", "alertmanager"}, "--cluster.listen-address=", "--storage.path=")
}

// startHTTP starts a server that answers /-/ready. The last flag takes the folder of its data.
func startHTTP(ctx context.Context, cfg PrometheusConfig, install string, programs []string, flags ...string) (*Server, error) {
	program, err := Find(install, programs...)
	if err != nil {
		return nil, err
	}
	s := &Server{ready: httpReady, prepare: cfg.write}
	s.start = func(s *Server) *exec.Cmd {
		args := append([]string{"--config.file=" + filepath.Join(s.dir, "config.yml"), "--web.listen-address=" + s.Addr, "--log.level=warn"}, flags...)
		args[len(args)-1] += filepath.Join(s.dir, "data")
		return exec.Command(program, args...)
	}
	return newServer(ctx, s, programs[len(programs)-1], cfg.Dir, false)
}

func (c PrometheusConfig) write(_ context.Context, dir string) error {
	files := map[string]string{"config.yml": c.File}
	for name, text := range c.Files {
		files[name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func httpReady(conn net.Conn) error {
	if _, err := fmt.Fprint(conn, "GET /-/ready HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.Contains(line, " 200 ") {
		return fmt.Errorf("the server answered %q", strings.TrimSpace(line))
	}
	return nil
}

// URL is where a server that speaks HTTP answers.
func (s *Server) URL() string { return "http://" + s.Addr }
