package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestTheDoctorChecksEveryCacheAndSaysWhereAShopLives(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.datasets += "\ncaches: {big: {url: \"" + testenv.Redis(t).URL + "\"}, away: {url: \"redis://:hunter2@127.0.0.1:1\"}}\n" +
		"placement: [{datasets: [users], shops: [7], cache: big}]\n"
	file := s.file(t, "")
	require.Zero(t, prewarm(t, "", "migrate", "-c", file).code)
	found, code := examined(t, file, "--shop=7")
	require.Equal(t, exitFailed, code)
	for _, check := range []string{"cache", "caches.big"} {
		require.Equal(t, ok, found[check].Status, "%s: %+v", check, found[check])
	}
	require.Contains(t, []string{ok, warn}, found["caches.big rights"].Status)
	require.Equal(t, fail, found["caches.away"].Status)
	require.Contains(t, found["caches.away"].Remedy, "caches.away.url")
	require.NotContains(t, found["caches.away"].Detail, "hunter2")
	require.Equal(t, "lives in cache big: placement[0]", found["dataset users of shop 7"].Detail)
	require.Equal(t, "lives in cache main: no rule fits", found["dataset shop of shop 7"].Detail)
}
