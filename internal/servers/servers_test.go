package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// envChild makes this test binary a process that starts a Redis, prints its address and waits to be killed.
const envChild = "PREWARM_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(envChild) != "" {
		s, err := StartRedis(context.Background(), RedisConfig{})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.Addr, s.dir)
		select {}
	}
	goleak.VerifyTestMain(m)
}

// need skips or fails the test if a server is not installed.
func need(t *testing.T, s *Server, err error) *Server {
	t.Helper()
	if errors.Is(err, ErrMissing) && os.Getenv("PREWARM_REQUIRE_SERVERS") != "1" {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestAMissingProgramSaysWhatToInstall(t *testing.T) {
	_, err := Find("some-package", "prewarm-no-such-program")
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "install some-package")
}

func TestAServerThatEndsAtStartTellsWhyAndLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	need(t, startedRedis(t), nil)
	before := entries(t)
	_, err := StartRedis(t.Context(), RedisConfig{Args: []string{"--no-such-option", "1"}})
	require.ErrorContains(t, err, "no-such-option")
	require.Equal(t, before, entries(t))
}

func startedRedis(t *testing.T) *Server {
	t.Helper()
	s, err := StartRedis(t.Context(), RedisConfig{})
	if err != nil {
		need(t, s, err)
	}
	return s
}

func entries(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(os.TempDir(), "prewarm-*"))
	require.NoError(t, err)
	return names
}

func TestASocketServerHasNoPort(t *testing.T) {
	t.Parallel()
	redis, err := StartRedis(t.Context(), RedisConfig{Socket: true})
	need(t, redis, err)
	require.NoError(t, redis.Ping())
	require.Equal(t, "unix://"+redis.Addr+"?db=3", redis.RedisURL(3))
	mysql, err := StartMySQL(t.Context(), MySQLConfig{Socket: true})
	need(t, mysql, err)
	require.NoError(t, mysql.Ping())
	require.Equal(t, "root@unix("+mysql.Addr+")/x", mysql.MySQLDSN("x"))
}

func TestCloseEndsTheServerAndRemovesItsDirectory(t *testing.T) {
	t.Parallel()
	s := need(t, startedRedis(t), nil)
	require.NoError(t, s.Close())
	require.Error(t, s.Ping())
	require.NoDirExists(t, s.dir)
	require.NoError(t, s.Close(), "Close twice")
}

func TestAProcessHasPortsOfItsOwn(t *testing.T) {
	t.Parallel()
	claim := func() *block {
		b, err := claimBlock()
		require.NoError(t, err)
		t.Cleanup(func() { b.claim.Close() })
		return b
	}
	one, other := claim(), claim()
	require.NotEqual(t, one.first, other.first)
	given := map[string]bool{}
	for range blockPorts - 1 {
		addr, err := one.free()
		require.NoError(t, err)
		given[addr] = true
	}
	require.Len(t, given, blockPorts-1, "a port whose server is down is given to nobody else")
	require.NotContains(t, given, one.claim.Addr().String())
	busy, err := net.Listen("tcp", loopback(one.first+2)) // the next one
	require.NoError(t, err)
	defer busy.Close()
	addr, err := one.free()
	require.NoError(t, err)
	require.Equal(t, loopback(one.first+3), addr)
}
