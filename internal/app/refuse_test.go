package app_test

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/app"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

const secret = "hunter2"

func TestAPodRefusesToStartOnWhatItCannotWorkWith(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	denying := denyingMySQL(t)
	for name, wrong := range map[string]struct{ from, to, want string }{
		"a queue that evicts": {
			"queue: {url: \"" + c.queueServer.URL, "queue: {url: \"" + testenv.OwnRedis(t, "--maxmemory-policy", "allkeys-lru").URL,
			"the queue's redis may evict keys: its maxmemory-policy is allkeys-lru",
		},
		"a wrong password of the source": {"sources: {main: {dsn: \"", "sources: {main: {dsn: \"app:" + secret + "@tcp(" + denying + ")/shop?x=", `refuses user "app"`},
		"a wrong password of the ledger": {"ledger: {dsn: \"", "ledger: {dsn: \"app:" + secret + "@tcp(" + denying + ")/prewarm?x=", "Access denied|refuses user"},
		"a wrong password of the cache": {
			"cache: {url: \"redis://", "cache: {url: \"redis://:" + secret + "@",
			"cache.*(password|AUTH|WRONGPASS)",
		},
		"a missing column": {"columns: [product_id, title,", "columns: [product_id, subtitle,", `(?s)products.*subtitle.*products`},
		"a missing table":  {"table: shop_users", "table: shoppers", `(?s)users.*shoppers`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(c.config)
			require.NoError(t, err)
			require.Contains(t, string(text), wrong.from)
			path := t.TempDir() + "/prewarm.yaml"
			require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), wrong.from, wrong.to, 1)), 0o600))
			cfg, err := config.Load(path, nil)
			require.NoError(t, err)
			a, err := app.New(cfg, app.Options{Log: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			err = a.Start(t.Context())
			require.Error(t, err)
			t.Log(err)
			require.Regexp(t, wrong.want, err.Error())
			require.NotContains(t, err.Error(), secret)

			out, err := exec.CommandContext(t.Context(), testenv.Program(t, "github.com/prewarm-go/prewarm/cmd/prewarm"), "serve", "-c", path).CombinedOutput()
			var ended *exec.ExitError
			require.ErrorAs(t, err, &ended)
			require.Equal(t, 1, ended.ExitCode(), string(out))
			require.Regexp(t, wrong.want, string(out))
			require.NotContains(t, string(out), secret)
			require.NotContains(t, string(out), "goroutine")
		})
	}
}

// denyingMySQL is the address of a server that lets nobody in: the tests' own has no passwords.
func denyingMySQL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			deny(conn)
		}
	}()
	return l.Addr().String()
}

// deny speaks MySQL's handshake as far as the refusal.
func deny(conn net.Conn) {
	defer conn.Close()
	packet := func(seq byte, body string) []byte { return append([]byte{byte(len(body)), 0, 0, seq}, body...) }
	// Protocol 10, version, thread, 8 bytes of salt, capabilities (4.1, secure connection, plugin), utf8mb4, 12 more of salt.
	_, _ = conn.Write(packet(0, "\x0a8.0.36\x00\x01\x00\x00\x00saltsalt\x00\x00\x82\x2d\x02\x00\x08\x00\x15"+strings.Repeat("\x00", 10)+"saltsaltsalt\x00mysql_native_password\x00"))
	_, _ = conn.Read(make([]byte, 1024))
	message := "Access denied for user 'app'@'localhost' (using password: YES)"
	_, _ = conn.Write(packet(2, fmt.Sprintf("\xff\x15\x04#28000%s", message)))
}
