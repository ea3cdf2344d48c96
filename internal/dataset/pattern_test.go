package dataset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func patterned(t *testing.T, key string, by []string, cols ...Column) *Encoder {
	t.Helper()
	return compile(t, Spec{Key: key, Shop: "shop_id", By: by, Columns: []string{"a"}}, len(cols), cols...)
}

func TestAKeyIsTakenApartIntoItsRow(t *testing.T) {
	t.Parallel()
	a, b := Column{Name: "a", Kind: KindInt}, Column{Name: "b", Kind: KindText}
	for _, c := range []struct {
		key, shop string
		cols      []Column
		yes       map[string][]string
		no        []string
	}{
		{"user:{shop}:{a}", "1", []Column{a, b}, map[string][]string{"user:1:5": {"5", ""}, "user:1:-5": {"-5", ""}, "user:1:18446744073709551615": {"18446744073709551615", ""}},
			[]string{"user:1:", "user:1:x", "user:12:5", "user:1:5:6", "user:1:05", "user:1:2:5", "user:1", "x", ""}},
		{"user:{shop}:{b}", "1", []Column{b}, map[string][]string{"user:1:x y": {"x y"}, "user:1:": {""}}, []string{"user:1:2:x", "user:2:x"}},
		{"{shop}/{a}/t/{b}", "s", []Column{a, b}, map[string][]string{"s/7/t/q": {"7", "q"}}, []string{"s/7/q", "s/x/t/q", "s/7/t/a/b"}},
		{"u:{shop_id}:{a}:tags", "9", []Column{a, {Name: "shop_id", Kind: KindInt}}, map[string][]string{"u:9:3:tags": {"3", ""}}, []string{"u:9:3", "u:9:3:tags:x"}},
	} {
		by := []string{c.cols[0].Name}
		p, ok := patterned(t, c.key, by, c.cols...).Pattern(c.shop)
		require.True(t, ok, c.key)
		for key, want := range c.yes {
			row, ok := p.Row(key)
			require.True(t, ok, "%s of %s", key, c.key)
			for i, v := range want {
				require.Equal(t, v, string(row[i]), key)
			}
		}
		for _, key := range c.no {
			_, ok := p.Row(key)
			require.False(t, ok, "%s of %s", key, c.key)
		}
	}
}

func TestAKeyThatMayBeAnotherShopsIsUnsure(t *testing.T) {
	t.Parallel()
	a, b := Column{Name: "a", Kind: KindInt}, Column{Name: "b", Kind: KindText}
	p, ok := patterned(t, "user:{shop}:{b}", []string{"b"}, b).Pattern("1")
	require.True(t, ok)
	for key, unsure := range map[string]bool{"user:1:2:x": true, "user:1:x": false, "user:2:x:y": false, "x": false} {
		require.Equal(t, unsure, p.Unsure(key), key)
	}
	p, ok = patterned(t, "user:{shop}:{a}", []string{"a"}, a).Pattern("1")
	require.True(t, ok)
	require.False(t, p.Unsure("user:1:2:3"), "no number looks like that")
}

func TestKeysThatCannotBeToldApartHaveNoPattern(t *testing.T) {
	t.Parallel()
	a, b := Column{Name: "a", Kind: KindInt}, Column{Name: "b", Kind: KindText}
	for key, by := range map[string][]string{
		"user:{a}": {"a"}, "{a}:{shop}": {"a"}, "user:{shop}": {"a"}, "user:{shop}:{b}:{a}": {"a", "b"}, "user:{shop}:{b}": {"a", "b"},
	} {
		e := patterned(t, key, by, a, b)
		_, ok := e.Pattern("1")
		require.False(t, ok, key)
	}
	_, ok := patterned(t, "user:{shop_id}:{a}", []string{"a"}, a, Column{Name: "shop_id", Kind: KindText}).Pattern("x")
	require.False(t, ok, "a row's X is the shop x in many collations")
	e := patterned(t, "user:{shop}:{b}:{a}", []string{"a", "b"}, a, b)
	require.True(t, e.MayBe("1", "user:1:x.y:5"))
	require.False(t, e.MayBe("1", "user:2:x:5"))
}

func TestEveryRowsKeyIsOfItsPattern(t *testing.T) {
	t.Parallel()
	e := patterned(t, "user:{shop}:{a}", []string{"a"}, Column{Name: "a", Kind: KindInt})
	p, _ := e.Pattern("42")
	for _, v := range []string{"0", "-1", "00042", "9223372036854775807"} {
		key, err := e.AppendKey(nil, "42", raws(v))
		require.NoError(t, err)
		row, ok := p.Row(string(key))
		require.True(t, ok)
		again, err := e.AppendKey(nil, "42", row)
		require.NoError(t, err)
		require.Equal(t, key, again)
	}
}
