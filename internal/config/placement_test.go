package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

const placed = `
queue: {url: "redis://localhost:6379/0"}
cache: {url: "redis://localhost:6379/1"}
caches:
  big: {url: "redis://big:6379", cluster: true, password: pa55}
  east: {url: "redis://east:6379"}
  west: {url: "redis://west:6379"}
ledger: {dsn: "u:p@tcp(localhost:3306)/prewarm"}
sources: {main: {dsn: "u:p@tcp(localhost:3306)/shops"}}
datasets:
  - {name: shop, query: "SELECT id FROM shops WHERE id = :shop", key: "shop:{id}"}
  - {name: users, query: "SELECT id FROM users WHERE id = :shop", key: "user:{id}"}
  - {name: media, query: "SELECT id FROM media WHERE id = :shop", key: "media:{id}"%s}
placement:
%s
`

func placedBy(media string, rules ...string) string {
	return fmt.Sprintf(placed, media, strings.Join(rules, "\n"))
}

func TestTheFirstRuleThatFitsPlaces(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "key-accounts"), []byte("1003\n\n 1004 \n"), 0o600))
	c, err := Load(write(t, placedBy(", cache: west",
		`  - {shops: [1001, "1002"], cache: big}`,
		`  - {shops_file: "`+filepath.Join(folder, "key-accounts")+`", datasets: [users], cache: east}`,
		`  - {datasets: [users], shards: [east, west]}`)), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"big", "east", "main", "west"}, c.cacheNames())
	require.Equal(t, "redis://localhost:6379/1", c.CacheServers()[MainCache].URL)
	require.Equal(t, []string{"cache", "caches.big"}, []string{c.CacheField("main"), c.CacheField("big")})
	for _, want := range []struct{ dataset, shop, cache, reason string }{
		{"shop", "1001", "big", "placement[0]"},
		{"users", "1002", "big", "placement[0]"},
		{"media", "1001", "big", "placement[0]"},
		{"users", "1004", "east", "placement[1]"},
		{"shop", "1004", "main", "no rule fits"},
		{"media", "1004", "west", "the dataset's cache"},
		{"users", "5", "east", "placement[2], the shop's shard"},
		{"users", "6", "west", "placement[2], the shop's shard"},
	} {
		var spec dataset.Spec
		for _, d := range c.Datasets {
			if d.Name == want.dataset {
				spec = d
			}
		}
		name, reason := c.CacheOf(spec, want.shop)
		require.Equal(t, []string{want.cache, want.reason}, []string{name, reason}, "%s of shop %s", want.dataset, want.shop)
	}
	require.NotContains(t, fmt.Sprintf("%+v", c.Redacted().Caches), "pa55")
}

// What was placed by a release must be found by the next: these are not to change.
func TestShardsAreForEver(t *testing.T) {
	t.Parallel()
	got := ""
	for shop := range 12 {
		got += shardOf([]string{"a", "b", "c"}, fmt.Sprint(shop))
	}
	require.Equal(t, "ccbbbbaacacc", got)
}

func TestOneMoreShardMovesShopsToItselfOnly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shards := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,4}`), 2, 6, rapid.ID).Draw(t, "shards")
		shop := rapid.String().Draw(t, "shop")
		was, is := shardOf(shards[1:], shop), shardOf(shards, shop)
		require.Contains(t, []string{was, shards[0]}, is)
		other := rapid.Permutation(shards).Draw(t, "in another order")
		require.Equal(t, is, shardOf(other, shop))
	})
}

func TestShardsGetEqualParts(t *testing.T) {
	t.Parallel()
	parts := map[string]int{}
	for shop := range 3000 {
		parts[shardOf([]string{"east", "west", "north"}, fmt.Sprint(shop))]++
	}
	for name, n := range parts {
		require.InDelta(t, 1000, n, 100, name)
	}
}

func TestPlacementThatCannotBeMeantIsRefusedWithItsLine(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		media string
		rules []string
		want  string
	}{
		{"", []string{"  - {cache: bgi}"}, `line 15: placement[0].cache: "bgi" is no cache; caches are: big, east, main, west`},
		{"", []string{"  - {shops: [1], cache: big}", "  - {shards: [east, wets]}"}, `line 16: placement[1].shards[1]: "wets" is no cache`},
		{"", []string{"  - {shards: [east, east]}"}, `line 15: placement[0].shards[1]: "east" is named twice`},
		{"", []string{"  - {datasets: [shop, user], cache: big}"}, `line 15: placement[0].datasets[1]: "user" is no dataset; datasets are: shop, users, media`},
		{"", []string{"  - {shops: [1]}"}, `line 15: placement[0]: needs one of cache and shards`},
		{"", []string{"  - {shops: [1], cache: big, shards: [east, west]}"}, `line 15: placement[0]: needs one of cache and shards`},
		{"", []string{"  - {cache: big}", "  - {shops: [1], cache: east}"}, `line 16: placement[1]: never fits`},
		{"", []string{"  - {shops: [1, 2], cache: big}", "  - {shops: [2, 1], datasets: [shop], cache: east}"}, `line 16: placement[1]: never fits`},
		{"", []string{"  - {datasets: [shop], cache: big}", "  - {datasets: [users], cache: big}", "  - {datasets: [users, shop], shops: [1], cache: east}"},
			`line 17: placement[2]: never fits`},
		{", cache: sout", nil, `line 13: datasets[2] (media).cache: "sout" is no cache`},
		{", cache: west", []string{"  - {shards: [east, west]}"}, `line 13: datasets[2] (media).cache: is never used: placement[0] takes every shop of it`},
		{"", []string{"  - {shops_file: " + none + ", cache: big}"}, `line 15: placement[0].shops_file: cannot read ` + none + `: no such file or directory`},
		{"", []string{"  - {shops: [1], shops_file: x, cache: big}"}, `line 15: placement[0].shops_file: is given beside shops`},
	} {
		found := problemsOf(t, placedBy(c.media, c.rules...))
		require.Len(t, found, 1, "%v: %v", c.rules, found)
		require.True(t, strings.HasPrefix(found[0].String(), c.want), "%s\n%s", c.want, found[0])
	}
}

func TestCachesAreNamedOnceAndOneIsTheRests(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`cache: {url: "redis://a"}` + "\n" + `caches: {main: {url: "redis://b"}}`: "line 3: caches.main: is given twice: `cache` is the short form of it; keep one of the two",
		`caches: {a: {url: "redis://a"}, b: {url: "redis://b"}}`:                  "line 7: datasets[0] (shop).cache: is not given, and no cache is called main; caches are: a, b",
		`caches: {A: {url: "redis://a"}}`:                                         "line 2: caches.A: is no name for a cache; write lower case letters, digits, _ and -, at most 64",
		`caches: {a: {url: "http://a"}}`:                                          "line 2: caches.a.url: does not begin with redis://, rediss:// or unix://; write redis://host:6379/0",
		`caches: {a: {url: "redis://a", allow_eviction: true}}`:                   "line 2: caches.a.allow_eviction: is for the queue only; remove it: what is written here may be evicted, and prewarm loads it again",
		`caches: {a: {url: "redis://a", password_file: none}}`:                    "line 2: caches.a.password_file: cannot read",
	} {
		found := problemsOf(t, "\n"+text+minimal)
		require.Len(t, found, 1)
		require.True(t, strings.HasPrefix(found[0].String(), want), "%s\n%s", want, found[0])
	}
	only, err := Load(write(t, minimal+`caches: {a: {url: "redis://a"}}`), nil)
	require.NoError(t, err)
	require.Nil(t, only.Cache)
	name, _ := only.CacheOf(only.Datasets[0], "1")
	require.Equal(t, "a", name)
	short, err := Load(write(t, minimal), []string{"PREWARM_CACHE_URL=redis://b"})
	require.NoError(t, err)
	require.Equal(t, []string{"main"}, short.cacheNames())
}

func TestALineIsTheFilesOnlyIfItsValueIs(t *testing.T) {
	t.Parallel()
	found := problemsOf(t, minimal, "PREWARM_QUEUE_URL=http://x")
	require.Equal(t, []string{"queue.url", "cache.url"}, []string{found[0].Field, found[1].Field})
	require.Zero(t, found[0].Line)
	require.Equal(t, 2, problemsOf(t, strings.Replace(minimal, "redis:", "http:", 1))[0].Line)
}
