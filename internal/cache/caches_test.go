package cache

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestACacheOfAnUnknownNameIsNamedWithThoseThatAreKnown(t *testing.T) {
	t.Parallel()
	one, two := redis.NewClient(&redis.Options{}), redis.NewClient(&redis.Options{})
	c := NewCaches(map[string]redis.UniversalClient{"main": one, "big": two})
	require.Equal(t, []string{"big", "main"}, c.Names())
	got, err := c.Client("big")
	require.NoError(t, err)
	require.Same(t, two, got)
	w, err := c.Writer("main")
	require.NoError(t, err)
	require.Same(t, one, w.client)
	_, err = c.Client("bgi")
	require.Equal(t, &UnknownError{Name: "bgi", Known: []string{"big", "main"}}, err)
	_, err = c.Writer("bgi")
	require.ErrorContains(t, err, "cache bgi is not in this pod's configuration, which has big, main;")
	require.NoError(t, c.Close())
	require.NoError(t, one.Close())
	require.NoError(t, two.Close())
}

var writer *Writer

func BenchmarkCacheOfAUnit(b *testing.B) {
	client := redis.NewClient(&redis.Options{})
	c := NewCaches(map[string]redis.UniversalClient{"main": client})
	for b.Loop() {
		writer, _ = c.Writer("main")
	}
}
