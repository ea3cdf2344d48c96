package redisconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// explain says which server failed, how, and what to do about it. The cause stays in the chain; neither go-redis nor
// Redis puts a password into one.
func explain(name string, opts *redis.Options, err error) error {
	what, remedy := diagnose(name, opts.TLSConfig != nil, err)
	text := fmt.Sprintf("%s: redis at %s %s", name, opts.Addr, what)
	if remedy != "" {
		return fmt.Errorf("%s: %w; %s", text, err, remedy)
	}
	return fmt.Errorf("%s: %w", text, err)
}

func diagnose(name string, secure bool, err error) (what, remedy string) {
	if what, remedy = refused(name, err); what != "" {
		return what, remedy
	}
	if what, remedy = untrusted(name, err); what != "" {
		return what, remedy
	}
	return unreachable(name, secure, err)
}

// refused: the server answered, and the answer was no.
func refused(name string, err error) (what, remedy string) {
	var answer redis.Error
	switch {
	case errors.Is(err, errClusterNode):
		return "is not what the configuration says", fmt.Sprintf("set %s.cluster: true", name)
	case redis.IsLoadingError(err):
		return "is not ready", "wait until it has loaded its data"
	case redis.IsAuthError(err) || redis.HasErrorPrefix(err, "AUTH ") || redis.HasErrorPrefix(err, "invalid password"):
		return "refused the login", fmt.Sprintf("set %s.username and %s.password or password_file", name, name)
	case redis.IsPermissionError(err):
		return "gave its user too few rights", "allow the commands with ACL SETUSER"
	case redis.HasErrorPrefix(err, "This instance has cluster support disabled"):
		return "is not a Redis Cluster", fmt.Sprintf("remove %s.cluster", name)
	case redis.HasErrorPrefix(err, "DB index"):
		return "has no database of that number", fmt.Sprintf("correct the number at the end of %s.url", name)
	case redis.HasErrorPrefix(err, "DENIED"):
		return "is in protected mode", "give it a password, or bind it to an address of its own"
	case errors.As(err, &answer):
		return "refused", ""
	}
	return "", ""
}

// untrusted: the two sides could not agree on TLS.
func untrusted(name string, err error) (what, remedy string) {
	var (
		plain   tls.RecordHeaderError
		ca      x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &plain):
		return "does not speak TLS", fmt.Sprintf("write redis:// in %s.url, or its TLS port", name)
	case errors.As(err, &ca):
		return "has a certificate of an unknown authority", fmt.Sprintf("name the authority's certificate in %s.tls.ca_file", name)
	case errors.As(err, &host):
		return "has a certificate for another name", fmt.Sprintf("set %s.tls.server_name", name)
	case errors.As(err, &invalid):
		return "has a certificate that is not valid", "renew it, and check both clocks"
	case strings.Contains(err.Error(), "remote error: tls:"): // the alert's type is crypto/tls' own
		return "refused the TLS connection", fmt.Sprintf("set %s.tls.cert_file and key_file if it asks for a client certificate", name)
	}
	return "", ""
}

// unreachable: no answer at all. secure: TLS was asked for.
func unreachable(name string, secure bool, err error) (what, remedy string) {
	var network net.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return "has no known address", fmt.Sprintf("check the host in %s.url", name)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return "cannot be reached", fmt.Sprintf("start it, or correct %s.url", name)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		if secure {
			return "closed the connection without an answer", ""
		}
		return "closed the connection without an answer", fmt.Sprintf("write rediss:// in %s.url if it expects TLS", name)
	case errors.Is(err, context.Canceled):
		return "was not waited for", ""
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		if secure { // a redis without TLS waits for the rest of what it takes for a command
			return "does not answer", fmt.Sprintf("write redis:// in %s.url if it does not speak TLS on this port", name)
		}
		return "does not answer", fmt.Sprintf("check the server, the network and %s.url", name)
	}
	return "failed", ""
}
