package config

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{"0": 0, "1_048_576": 1 << 20, "8GiB": 8 << 30, "1.5 GiB": 3 << 29, "512MiB": 512 << 20, "2TiB": 2 << 40, "0.5KiB": 512} {
		got, ok := ParseSize(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "GiB", "8GB", "8G", "-1", "-1GiB", "1.5", "NaNGiB", "InfGiB", "9000000TiB", "99999999999999999999", "8GiB8"} {
		_, ok := ParseSize(text)
		require.False(t, ok, text)
	}
	require.Equal(t, "1.5 GiB", Size(3<<29).String())
	require.Equal(t, "900 bytes", Size(900).String())
	rapid.Check(t, func(t *rapid.T) {
		size, ok := ParseSize(rapid.String().Draw(t, "text"))
		require.True(t, !ok || size >= 0)
	})
}

func FuzzParseSize(f *testing.F) {
	f.Add("8GiB")
	f.Add("1.5 MiB")
	f.Fuzz(func(t *testing.T, text string) {
		if size, ok := ParseSize(text); ok {
			require.GreaterOrEqual(t, size, Size(0))
		}
	})
}

func TestRoleAndSizeAreOfCachesOnly(t *testing.T) {
	t.Parallel()
	load := func(queue, cache, big string) error {
		_, err := Load(write(t, `
queue: {url: "redis://localhost:6379/0"`+queue+`}
cache: {url: "redis://localhost:6379/1"`+cache+`}
caches: {big: {url: "redis://big:6379"`+big+`}}
ledger: {dsn: "u:p@tcp(localhost:3306)/prewarm"}
sources: {main: {dsn: "u:p@tcp(localhost:3306)/shops"}}
datasets: [{name: shop, query: "SELECT id FROM shops WHERE id = :shop", key: "shop:{id}"}]
`), nil)
		return err
	}
	require.NoError(t, load("", ", role: live, size: 2GiB", ", role: archive, size: 1073741824"))
	for want, args := range map[string][3]string{
		"queue.role: is for caches only":           {", role: live"},
		"queue.size: is for caches only":           {", size: 1GiB"},
		"cache.size: must be a size such as 8GiB":  {"", ", size: 8GB"},
		"caches.big.size: is less than a mebibyte": {"", "", ", size: 8"},
		"caches.big.role: is no short text":        {"", "", `, role: "a\nb"`},
	} {
		require.ErrorContains(t, load(args[0], args[1], args[2]), want)
	}
}
