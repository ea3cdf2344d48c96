package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThresholdsOfTheGuard(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, minimal+"guard: {mysql_threads_running: {hold: 8, stop: 0}, canary: {shrink: 3}}\n"), []string{"PREWARM_GUARD_REDIS_MEMORY_HOLD=0.7"})
	require.NoError(t, err)
	want := Defaults().Guard
	want.ThreadsRunning.Hold, want.ThreadsRunning.Stop, want.Canary.Shrink, want.RedisMemory.Hold = 8, 0, 3, 0.7
	require.Equal(t, want, c.Guard, "what is left out keeps its default")

	for text, field := range map[string]string{
		"{page_time: {hold: 0.9}}":                         "guard.page_time.hold",
		"{mysql_connections: {stop: 95}}":                  "guard.mysql_connections.stop",
		"{replica_lag: {hold: 10}}":                        "guard.replica_lag.shrink",
		"{redis_evictions: {hold: -1}}":                    "guard.redis_evictions.hold",
		"{mysql_threads_running: {stop: .inf}}":            "guard.mysql_threads_running.stop",
		"{canary: {hold: .nan}}":                           "guard.canary.hold",
		"{canary: {stops: 3}}":                             "guard.canary.stops",
		"{redis_latency: {hold: 9, shrink: 0, stop: 8.5}}": "guard.redis_latency.stop",
		"{redis_blocked_clients: {hold: many}}":            "guard.redis_blocked_clients.hold",
	} {
		found := problemsOf(t, minimal+"guard: "+text+"\n")
		require.Len(t, found, 1, text)
		require.Equal(t, field, found[0].Field, text)
	}
	_, err = Load(write(t, minimal+"guard: {redis_latency: {hold: 9, shrink: 0, stop: 9}, canary: {hold: 0, shrink: 0, stop: 0}}\n"), nil)
	require.NoError(t, err, "0 is never")
}
