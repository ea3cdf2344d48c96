package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
)

// Limits of a connection.
const (
	headerTime = 5 * time.Second
	readTime   = time.Minute // 4 MiB at 70 kB/s
	// writeTime also bounds how long a request may be worked on: 10,000 broadcasts took up to a minute on a busy ledger.
	writeTime      = 5 * time.Minute
	idleTime       = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// server is the listener and what serves on it.
type server struct {
	mu   sync.Mutex
	http *http.Server
	addr net.Addr
	done chan struct{} // closed when serving has ended
}

// Start listens and serves until Stop. It returns when the address is taken; a second call does nothing.
func (a *API) Start(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.http != nil {
		return nil
	}
	secure, err := serverTLS(a.deps.TLS)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", a.deps.Listen)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w; stop what uses the address, or set http.listen or --listen", err)
	}
	a.addr, a.done = ln.Addr(), make(chan struct{})
	a.http = &http.Server{
		Handler: a.handler, TLSConfig: secure, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime,
		IdleTimeout: idleTime, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	a.http.RegisterOnShutdown(a.live.close) // or it would wait for the streams to end
	go a.serve(ln, secure != nil)
	return nil
}

func (a *API) serve(ln net.Listener, secure bool) {
	defer close(a.done)
	var err error
	if secure {
		err = a.http.ServeTLS(ln, "", "")
	} else {
		err = a.http.Serve(ln)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		a.log.Error("serving HTTP ended", "error", err)
	}
}

// Stop lets requests in hand finish until ctx ends, then breaks them off. It returns when nothing is served any more.
func (a *API) Stop(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.http == nil {
		return nil
	}
	err := a.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop serving HTTP: %w", err), a.http.Close())
	}
	<-a.done
	a.live.close()
	return err
}

// Addr is the address that is served, once started.
func (a *API) Addr() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.addr == nil {
		return ""
	}
	return a.addr.String()
}

func serverTLS(t *config.TLS) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("http.tls: read certificate and key: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if t.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("http.tls.ca_file: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("http.tls.ca_file: %s holds no certificate", t.CAFile)
	}
	return c, nil
}
