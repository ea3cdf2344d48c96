package redisconn

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/prewarm-go/prewarm/internal/config"
)

// tlsConfig adds the configured certificates to what the URL asks for; base is nil for a URL without TLS.
func tlsConfig(name string, base *tls.Config, cfg config.Redis) (*tls.Config, error) {
	if cfg.TLS == nil {
		return clusterNames(base, cfg), nil
	}
	if base == nil {
		return nil, fmt.Errorf("%s.tls is set, and %s.url asks for a connection without TLS: write rediss://", name, name)
	}
	if cfg.TLS.CAFile != "" {
		pem, err := os.ReadFile(cfg.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%s.tls.ca_file: %w", name, err)
		}
		base.RootCAs = x509.NewCertPool()
		if !base.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s.tls.ca_file: %s holds no certificate in PEM form", name, cfg.TLS.CAFile)
		}
	}
	if cfg.TLS.CertFile != "" || cfg.TLS.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(cfg.TLS.CertFile, cfg.TLS.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("%s.tls.cert_file and key_file: %w", name, err)
		}
		base.Certificates = []tls.Certificate{pair}
	}
	base = clusterNames(base, cfg)
	base.ServerName = cmp.Or(cfg.TLS.ServerName, base.ServerName)
	return base, nil
}

// clusterNames: each node of a Redis Cluster is checked against its own name, not against the first one's.
func clusterNames(base *tls.Config, cfg config.Redis) *tls.Config {
	if base != nil && cfg.Cluster {
		base.ServerName = ""
	}
	return base
}
