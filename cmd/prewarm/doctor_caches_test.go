package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestTheDoctorChecksEveryCacheAndSaysWhereAShopLives(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.datasets += "\ncaches: {big: {url: \"" + testenv.Redis(t).URL + "\", role: key accounts, size: 64GiB}, full: {url: \"" + testenv.Redis(t).URL + "\", size: 1MiB}, away: {url: \"redis://:hunter2@127.0.0.1:1\"}}\n" +
		"placement: [{datasets: [users], shops: [7], cache: big}]\n"
	file := s.file(t, "")
	require.Zero(t, prewarm(t, "", "migrate", "-c", file).code)
	found, code := examined(t, file, "--shop=7")
	require.Equal(t, exitFailed, code)
	for _, check := range []string{"cache", "caches.big"} {
		require.Equal(t, ok, found[check].Status, "%s: %+v", check, found[check])
	}
	require.Contains(t, []string{ok, warn}, found["caches.big rights"].Status)
	require.Equal(t, ok, found["cache memory"].Status)
	require.Equal(t, ok, found["caches.big memory"].Status)
	require.Regexp(t, `^key accounts: .* used of 64.0 GiB, \d+\.\d % of what may be$`, found["caches.big memory"].Detail)
	require.Equal(t, warn, found["caches.full memory"].Status, "an empty Redis takes most of a mebibyte: %+v", found["caches.full memory"])
	require.Contains(t, found["caches.full memory"].Remedy, "caches.full.size")
	require.Equal(t, fail, found["caches.away"].Status)
	require.Contains(t, found["caches.away"].Remedy, "caches.away.url")
	require.NotContains(t, found["caches.away"].Detail, "hunter2")
	require.Equal(t, "lives in cache big (key accounts): placement[0]", found["dataset users of shop 7"].Detail)
	require.Equal(t, "lives in cache main: no rule fits", found["dataset shop of shop 7"].Detail)
}
