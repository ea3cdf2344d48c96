package main

import (
	"net"
	"net/netip"

	"github.com/prewarm-go/prewarm/internal/config"
)

// baseURL is where a browser on this machine finds what listens on addr.
func baseURL(http config.HTTP, addr string) string {
	scheme := "http"
	if http.TLS != nil {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return scheme + "://" + addr
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
