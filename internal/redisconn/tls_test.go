package redisconn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

// authority signs certificates and writes them where redis-server and the configuration find them.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = a.newKey()
	a.cert = template
	a.file, _ = a.sign("ca", template, a.key)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	return key
}

// issue makes a certificate for a host name or, without one, for 127.0.0.1.
func (a *authority) issue(name string, host ...string) (certFile, keyFile string) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, DNSNames: host,
	}
	if len(host) == 0 {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	return a.sign(name, template, a.newKey())
}

func (a *authority) sign(name string, template *x509.Certificate, key *ecdsa.PrivateKey) (certFile, keyFile string) {
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(a.t, err)
	private, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	return a.write(name+".crt", "CERTIFICATE", der), a.write(name+".key", "EC PRIVATE KEY", private)
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	require.NoError(a.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// tlsRedis is a server's TLS address, and its plain one.
func tlsRedis(t *testing.T, a *authority, cert, key string, args ...string) (secure, plain string) {
	t.Helper()
	port := freePort(t)
	server := testenv.OwnRedis(t, append([]string{"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", a.file}, args...)...)
	admin := open(t, config.Redis{URL: server.URL})
	require.NoError(t, admin.ACLSetUser(t.Context(), "warm", "on", ">"+secret, "~*", "&*", "+@all").Err())
	require.NoError(t, admin.ACLSetUser(t.Context(), "default", "off").Err())
	return "127.0.0.1:" + port, server.Addr
}

func TestTLSWithAClientCertificateAndAnACLUser(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key := a.issue("server")
	secure, plain := tlsRedis(t, a, cert, key, "--tls-auth-clients", "yes")
	clientCert, clientKey := a.issue("client")
	full := config.TLS{CAFile: a.file, CertFile: clientCert, KeyFile: clientKey}
	cfg := func(scheme, addr string, t *config.TLS) config.Redis {
		return config.Redis{URL: scheme + "://" + addr, Username: "warm", Password: secret, TLS: t}
	}
	client := open(t, cfg("rediss", secure, &full))
	require.Equal(t, "warm", client.Do(t.Context(), "acl", "whoami").Val())

	require.Contains(t, refuse(t, cfg("rediss", secure, nil)), "queue.tls.ca_file")
	require.Contains(t, refuse(t, cfg("rediss", secure, &config.TLS{CAFile: a.file})), "queue.tls.cert_file")
	require.Contains(t, refuse(t, cfg("redis", secure, nil)), "write rediss:// in queue.url if it expects TLS")
	require.Contains(t, refuse(t, cfg("rediss", plain, &full)), "write redis:// in queue.url if it does not speak TLS")
	require.Contains(t, refuse(t, cfg("redis", secure, &full)), "write rediss://")
	wrong := cfg("rediss", secure, &full)
	wrong.Password += "x"
	require.Contains(t, refuse(t, wrong), "refused the login")
}

func TestTLSChecksTheServersName(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key := a.issue("server", "redis.example")
	secure, _ := tlsRedis(t, a, cert, key, "--tls-auth-clients", "no")
	cfg := config.Redis{URL: "rediss://warm:" + secret + "@" + secure, TLS: &config.TLS{CAFile: a.file}}
	require.Contains(t, refuse(t, cfg), "queue.tls.server_name")
	cfg.TLS.ServerName = "redis.example"
	open(t, cfg)
}

func TestUnreadableCertificatesAreNamed(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for field, tls := range map[string]config.TLS{
		"queue.tls.ca_file":   {CAFile: empty},
		"queue.tls.cert_file": {CertFile: empty, KeyFile: empty},
	} {
		require.Contains(t, refuse(t, config.Redis{URL: "rediss://127.0.0.1:1", TLS: &tls}), field)
	}
}

func TestEachNodeOfAClusterIsCheckedAgainstItsOwnName(t *testing.T) {
	t.Parallel()
	o, err := options("cache", config.Redis{URL: "rediss://node-1:6379", Cluster: true})
	require.NoError(t, err)
	require.Empty(t, o.TLSConfig.ServerName)
	o, err = options("cache", config.Redis{URL: "rediss://node-1:6379"})
	require.NoError(t, err)
	require.Equal(t, "node-1", o.TLSConfig.ServerName)
}
