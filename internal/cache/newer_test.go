package cache

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// versioned is a batch of rows with versions in column v.
func versioned(order string) *Batch {
	return &Batch{Version: dataset.Version{Column: "v", Order: order}}
}

// object is a row as prewarm encodes it; numbers stand without quotes, and an empty version is NULL.
func object(order, version, tag string) string {
	quoted, _ := json.Marshal(version)
	switch {
	case version == "":
		quoted = []byte("null")
	case order == dataset.OrderNumber && strings.Trim(version, "-0123456789") == "":
		quoted = []byte(version)
	}
	return fmt.Sprintf(`{"id":1,"v":%s,"tag":%q}`, quoted, tag)
}

// putRow adds a row under a key, as an object or a hash.
func putRow(b *Batch, key string, hash bool, version, tag string) {
	switch {
	case !hash:
		putAll(b, SetNewer, key, version, object(b.Version.Order, version, tag))
	case version == "":
		put(b, HSetNewer, key, "", "tag", tag, "-v")
	default:
		putAll(b, HSetNewer, key, version, "v", version, "tag", tag)
	}
}

// putAll is put for arguments that may begin with a minus.
func putAll(b *Batch, op Op, args ...string) {
	b.Begin(op)
	for _, arg := range args {
		b.Buf = append(b.Buf, arg...)
		b.EndArg()
	}
	b.End()
}

// tagOf is which of the rows stands under a key.
func tagOf(t *testing.T, client redis.UniversalClient, key string, hash bool) string {
	t.Helper()
	if hash {
		return client.HGet(t.Context(), key, "tag").Val()
	}
	var row struct{ Tag string }
	text, err := client.Get(t.Context(), key).Bytes()
	require.NoError(t, err, key)
	require.NoError(t, json.Unmarshal(text, &row), "%s", text)
	return row.Tag
}

// ascending are versions of which each is older than the next; those in one line are equal.
var ascending = map[string][][]string{
	dataset.OrderNumber: {
		{"", "x1", "1e5"}, {"-9223372036854775808"}, {"-9223372036854775807"}, {"-10"}, {"-9.51"}, {"-9.5", "-9.50"}, {"-9"},
		{"0", "0.00"}, {"0.09"}, {"0.1", "0.100"}, {"9"}, {"10", "10.0"}, {"9007199254740992"}, {"9007199254740993"},
		{"18446744073709551614"}, {"18446744073709551615"},
		{"12345678901234567890123456789012345.123456789012345678901234567890"},
		{"12345678901234567890123456789012345.123456789012345678901234567891"},
	},
	dataset.OrderTime: {
		{"", "yesterday", "2026-01-02T03:04:05Z"}, {"0000-00-00", "0000-00-00 00:00:00"}, {"2026-01-02", "2026-01-02 00:00:00.000"},
		{"2026-01-02 03:04:05", "2026-01-02 03:04:05.000000"}, {"2026-01-02 03:04:05.000001"}, {"2026-01-02 03:04:05.05"},
		{"2026-01-02 03:04:05.1", "2026-01-02 03:04:05.100"}, {"2026-01-02 03:04:06"}, {"2026-01-02 03:10:00"}, {"2026-01-03"},
		{"2026-11-21 10:00:00.000"},
	},
	dataset.OrderText: {
		{""}, {" "}, {"01ARZ3NDEKTSV4RRFFQ69G5FAV"}, {"01ARZ3NDEKTSV4RRFFQ69G5FAW"}, {"B"}, {"a"}, {"a\"\\\nb"}, {"ab"}, {"ab "}, {"b"}, {"é"},
	},
}

func TestTheNewerVersionStays(t *testing.T) {
	t.Parallel()
	keepsTheNewer(t, open(t, testenv.Redis(t).URL), 0)
}

func TestTheNewerVersionStaysOnTheDemosRedis(t *testing.T) {
	t.Parallel()
	client := open(t, "redis://"+miniredis.RunT(t).Addr()+"?read_timeout=1m") // its Lua is slow under the race detector
	keepsTheNewer(t, client, 20*time.Second)
	leavesAloneWhatIsThere(t, client, 20*time.Second)
}

// keepsTheNewer writes every pair of versions in both orders. The demo's Redis keeps a time to live, not an expiry, so
// that the latter is exact up to a slack.
func keepsTheNewer(t *testing.T, client redis.UniversalClient, slack time.Duration) {
	t.Helper()
	w, e, before := New(client), later(), later()
	before.Until = before.Until.Add(-30 * time.Minute)
	for order, ranks := range ascending {
		for _, hash := range []bool{false, true} {
			first, second := versioned(order), versioned(order)
			want := map[string]string{}
			pair := func(i, j int, a, b string) {
				key := fmt.Sprintf("%s %v %s|%s", order, hash, a, b)
				putRow(first, key, hash, a, "first")
				putRow(second, key, hash, b, "second")
				if want[key] = "second"; i > j {
					want[key] = "first"
				}
			}
			for i, as := range ranks {
				for j, bs := range ranks {
					pair(i, j, as[0], bs[len(bs)-1])
					pair(i, j, as[len(as)-1], bs[0])
				}
			}
			require.NoError(t, w.Write(t.Context(), first, before))
			require.NoError(t, w.Write(t.Context(), second, e))
			for key, tag := range want {
				require.Equal(t, tag, tagOf(t, client, key, hash), key)
				at := client.PExpireTime(t.Context(), key).Val()
				require.InDelta(t, e.At([]byte(key)).UnixMilli(), at.Milliseconds(), float64(slack.Milliseconds()), key)
			}
		}
	}
}

func TestWhatTheApplicationWroteIsComparedByItsOwnMember(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	kept := map[string]string{
		"spaces":                 "{\n \"a\" : [1, {\"v\": 1}],\t\"v\" :\n9 }",
		"first":                  `{"v":9,"a":1}`,
		"last":                   `{"a":1,"v":9}`,
		"alone":                  `{"v":9}`,
		"as text":                `{"v":"9"}`,
		"behind a document":      `{"a":{"v":1,"b":[{"v":2}]},"v":9}`,
		"before a document":      `{"v":9,"a":{"v":1}}`,
		"between documents":      `{"a":{"b":1,"v":1},"v":9,"c":[{"b":1,"v":2}]}`,
		"behind its like":        `{"a":{"b":1,"v":1},"v":9}`,
		"big, behind documents":  `{"a":{"b":1,"v":1},"v":9007199254740993,"c":{}}`,
		"label in a string":      `{"a":",\"v\":1","b":"{\"v\":1}","v":9}`,
		"brackets in a string":   `{"a":"]}{[\\","v":9}`,
		"backslashes":            `{"a":"\\\\\"\\","v":9}`,
		"name as a value":        `{"a":"v","b":["v"],"v":9}`,
		"first, and a document":  `{"v":9,"a":[{"x":1},{"v":1}]}`,
		"escaped in the version": `{"v":"\u0039"}`,
	}
	overwritten := map[string]string{
		"older":               `{"v":4}`,
		"no version":          `{"a":9}`,
		"NULL":                `{"v":null}`,
		"no number":           `{"v":"soon"}`,
		"a list":              `{"v":[9]}`,
		"of a document only":  `{"a":{"v":9}}`,
		"of a later document": `{"a":1,"b":{"c":1,"v":9}}`,
		"of an earlier one":   `{"b":{"c":1,"v":9},"a":[1]}`,
		"of a second object":  `[{"v":9}]`,
		"in a string only":    `{"a":",\"v\":9"}`,
		"no JSON":             `v=9`,
		"a quote is open":     `{"a":"x`,
		"empty":               ``,
	}
	b, e := versioned(dataset.OrderNumber), later()
	for _, values := range []map[string]string{kept, overwritten} {
		for key, value := range values {
			require.NoError(t, client.Set(t.Context(), key, value, 0).Err())
			putRow(b, key, false, "5", "new")
		}
	}
	require.NoError(t, client.HSet(t.Context(), "another type", "v", "9").Err())
	putRow(b, "another type", false, "5", "new")
	require.NoError(t, New(client).Write(t.Context(), b, e))
	for key, value := range kept {
		require.Equal(t, value, client.Get(t.Context(), key).Val(), key)
		requireExpiry(t, client, e, key)
	}
	for key := range overwritten {
		require.Equal(t, "new", tagOf(t, client, key, false), key)
	}
	require.Equal(t, "new", tagOf(t, client, "another type", false))
}

func TestAHashIsWrittenAsOneOrNotAtAll(t *testing.T) {
	t.Parallel()
	client := open(t, testenv.Redis(t).URL)
	require.NoError(t, client.HSet(t.Context(), "old", "v", "1", "gone", "1", "kept", "1").Err())
	require.NoError(t, client.HSet(t.Context(), "new", "v", "9", "gone", "1").Err())
	b, e := versioned(dataset.OrderNumber), later()
	put(b, HSetNewer, "old", "5", "v", "5", "-gone", "a", "")
	put(b, HSetNewer, "new", "5", "v", "5", "-gone", "a", "")
	put(b, HSetNewer, append([]string{"wide", "5"}, wide()...)...)
	put(b, HSetNewer, "nothing", "", "-v", "-a")
	require.NoError(t, New(client).Write(t.Context(), b, e))
	require.Equal(t, map[string]string{"v": "5", "kept": "1", "a": ""}, client.HGetAll(t.Context(), "old").Val())
	require.Equal(t, map[string]string{"v": "9", "gone": "1"}, client.HGetAll(t.Context(), "new").Val())
	require.Equal(t, int64(len(wide())/2), client.HLen(t.Context(), "wide").Val())
	require.Zero(t, client.Exists(t.Context(), "nothing").Val())
	for _, key := range []string{"old", "new", "wide"} {
		requireExpiry(t, client, e, key)
	}
}

// wide is more fields and values than Lua's stack takes.
func wide() []string {
	fields := []string{"v", "5"}
	for i := range 10_000 {
		fields = append(fields, strconv.Itoa(i), "x")
	}
	return fields
}
