package redisconn

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

// tlsRedis is a server's TLS address, and its plain one.
func tlsRedis(t *testing.T, a *testenv.Authority, cert, key string, args ...string) (secure, plain string) {
	t.Helper()
	port := freePort(t)
	server := testenv.OwnRedis(t, append([]string{"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", a.File}, args...)...)
	admin := open(t, config.Redis{URL: server.URL})
	require.NoError(t, admin.ACLSetUser(t.Context(), "warm", "on", ">"+secret, "~*", "&*", "+@all").Err())
	require.NoError(t, admin.ACLSetUser(t.Context(), "default", "off").Err())
	return "127.0.0.1:" + port, server.Addr
}

func TestTLSWithAClientCertificateAndAnACLUser(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	cert, key := a.Issue("server")
	secure, plain := tlsRedis(t, a, cert, key, "--tls-auth-clients", "yes")
	clientCert, clientKey := a.Issue("client")
	full := config.TLS{CAFile: a.File, CertFile: clientCert, KeyFile: clientKey}
	cfg := func(scheme, addr string, t *config.TLS) config.Redis {
		return config.Redis{URL: scheme + "://" + addr, Username: "warm", Password: secret, TLS: t}
	}
	client := open(t, cfg("rediss", secure, &full))
	require.Equal(t, "warm", client.Do(t.Context(), "acl", "whoami").Val())
	requirePinged(t, client)

	require.Contains(t, refuse(t, cfg("rediss", secure, nil)), "queue.tls.ca_file")
	require.Contains(t, refuse(t, cfg("rediss", secure, &config.TLS{CAFile: a.File})), "queue.tls.cert_file")
	require.Contains(t, refuse(t, cfg("redis", secure, nil)), "write rediss:// in queue.url if it expects TLS")
	require.Contains(t, refuse(t, cfg("rediss", plain, &full)), "write redis:// in queue.url if it does not speak TLS")
	require.Contains(t, refuse(t, cfg("redis", secure, &full)), "write rediss://")
	wrong := cfg("rediss", secure, &full)
	wrong.Password += "x"
	require.Contains(t, refuse(t, wrong), "refused the login")
}

func TestTLSChecksTheServersName(t *testing.T) {
	t.Parallel()
	a := testenv.NewAuthority(t)
	cert, key := a.Issue("server", "redis.example")
	secure, _ := tlsRedis(t, a, cert, key, "--tls-auth-clients", "no")
	cfg := config.Redis{URL: "rediss://warm:" + secret + "@" + secure, TLS: &config.TLS{CAFile: a.File}}
	require.Contains(t, refuse(t, cfg), "queue.tls.server_name")
	cfg.TLS.ServerName = "redis.example"
	requirePinged(t, open(t, cfg))
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
