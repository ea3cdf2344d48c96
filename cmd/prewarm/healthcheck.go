package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
)

type healthcheckCmd struct {
	output
	configured
	Ready   bool          `help:"Ask whether the pod can work, not only whether it lives."`
	Timeout time.Duration `default:"3s" help:"How long to wait (${default})."`
}

// Help is shown by `prewarm healthcheck --help`.
func (healthcheckCmd) Help() string {
	return `For containers: it asks the pod beside it, at the address that the configuration names, and needs no token. Exit code 0: it is well.`
}

// health is the document of `prewarm healthcheck --json`.
type health struct {
	OK     bool   `json:"ok"`
	URL    string `json:"url"`
	Detail string `json:"detail"`
}

func (c *healthcheckCmd) Run(t *terminal) error {
	cfg, err := c.load(t)
	if err != nil {
		return err
	}
	path := "/healthz"
	if c.Ready {
		path = "/healthz?ready"
	}
	h := health{URL: baseURL(cfg.HTTP, nearby(cfg.HTTP.Listen)) + path}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	h.OK, h.Detail = look(ctx, h.URL, cfg.HTTP)
	if c.JSON {
		if err := printJSON(t.out, h); err != nil {
			return err
		}
	} else if h.OK {
		fmt.Fprintln(t.out, h.Detail)
	}
	if !h.OK {
		return fmt.Errorf("%s: %s; the pod's log says more", h.URL, h.Detail)
	}
	return nil
}

// nearby is an address that a process on the same machine reaches a listener by.
func nearby(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip, bad := netip.ParseAddr(host); err == nil && (host == "" || bad == nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

// look asks once. The certificate is not verified: it names the pod as others reach it, and the process is our own neighbour.
// A pod that wants a client's certificate and says so lives.
func look(ctx context.Context, url string, cfg config.HTTP) (ok bool, detail string) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err.Error()
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	var refused *net.OpError
	switch {
	case errors.As(err, &refused) && refused.Op == "remote error" && cfg.TLS != nil && cfg.TLS.CAFile != "":
		return true, "it wants a client's certificate"
	case err != nil:
		return false, cause(err).Error()
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err != nil {
		return false, err.Error()
	}
	return resp.StatusCode == http.StatusOK, clean(resp.Status + " " + string(text))
}
