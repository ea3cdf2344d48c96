package app_test

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	locked := strings.Replace(testenv.OwnRedis(t, "--requirepass", "right").URL, "redis://", "redis://:"+secret+"@", 1)
	for name, wrong := range map[string]struct{ line, now, want string }{
		"a queue that evicts": {
			"queue:.*", fmt.Sprintf("queue: {url: %q}", testenv.OwnRedis(t, "--maxmemory-policy", "allkeys-lru").URL),
			"the queue's redis may evict keys: its maxmemory-policy is allkeys-lru",
		},
		"a wrong password of the queue":  {"queue:.*", fmt.Sprintf("queue: {url: %q}", locked), "queue.*password"},
		"a wrong password of the cache":  {"cache:.*", fmt.Sprintf("cache: {url: %q}", locked), "cache.*password"},
		"a wrong password of the source": {"sources:.*", fmt.Sprintf("sources: {main: {dsn: \"app:%s@tcp(%s)/shop\"}}", secret, denying), `source main.* refuses user "app"`},
		"a wrong password of the ledger": {"ledger:.*", fmt.Sprintf("ledger: {dsn: \"app:%s@tcp(%s)/prewarm\"}", secret, denying), "ledger.*(Access denied|refuses user)"},
		"a missing column":               {`    columns: \[product_id, .*`, "    columns: [product_id, subtitle]", "dataset products: .*no column subtitle.*title"},
		"a missing table":                {"    table: shop_users", "    table: shoppers", "dataset users: .*no table shoppers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(c.config)
			require.NoError(t, err)
			line := regexp.MustCompile("(?m)^" + wrong.line + "$")
			require.Len(t, line.FindAll(text, -1), 1)
			path := filepath.Join(t.TempDir(), "prewarm.yaml")
			require.NoError(t, os.WriteFile(path, line.ReplaceAllLiteral(text, []byte(wrong.now)), 0o600))
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
