package source

import (
	"math"
	"strings"
	"testing"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/stretchr/testify/require"
)

func shopColumn(name string, unsigned bool, length int64, charset string) *Bound {
	c := Column{Column: dataset.Column{Name: "shop"}, Length: length, Charset: charset}
	c.typeOf(name, unsigned)
	return &Bound{shops: []Column{c}}
}

func TestShopIDs(t *testing.T) {
	t.Parallel()
	unknown := &Bound{shops: []Column{{Column: dataset.Column{Kind: dataset.KindInt}, Min: math.MinInt64, Max: math.MaxUint64}}}
	for _, c := range []struct {
		bound *Bound
		good  []string
		bad   []string
	}{
		{shopColumn("tinyint", false, 0, ""), []string{"-128", "127", "0"}, []string{"-129", "128"}},
		{shopColumn("tinyint", true, 0, ""), []string{"0", "255"}, []string{"-1", "256"}},
		{shopColumn("mediumint", false, 0, ""), []string{"-8388608", "8388607"}, []string{"8388608"}},
		{shopColumn("int", true, 0, ""), []string{"4294967295"}, []string{"4294967296"}},
		{shopColumn("bigint", false, 0, ""), []string{"-9223372036854775808", "9223372036854775807"}, []string{"9223372036854775808", "-9223372036854775809"}},
		{shopColumn("bigint", true, 0, ""), []string{"18446744073709551615", "1001"}, []string{"18446744073709551616", "-1", "99999999999999999999"}},
		{unknown, []string{"18446744073709551615", "-9223372036854775808"}, []string{"x"}},
		{shopColumn("bigint", false, 0, ""), nil, []string{"", "12abc", "1 OR 1=1", "+1", "01", "-0", "1.0", "1e3", " 1", "1 ", "0x10", "１２", "1;", "null",
			strings.Repeat("1", 10_000), "1\n"}},
		{shopColumn("varchar", false, 5, "utf8mb4"), []string{"a", "abcde", "直播直播直", "🎬", "a b", "' OR1", "%", "12abc"[:5]},
			[]string{"", "abcdef", " a", "a ", "a\n", "a\x00", "\u0085a", "a\xff", "\u00a0a", strings.Repeat("a", 10_000)}},
		{shopColumn("varchar", false, 400, "latin1"), []string{"shop-1"}, []string{"直", "é", strings.Repeat("a", 256)}},
		{shopColumn("varchar", false, 5, "utf8mb3"), []string{"é直"}, []string{"🎬"}},
	} {
		for _, id := range c.good {
			require.NoError(t, c.bound.CheckShop(id), "%q", id)
		}
		for _, id := range c.bad {
			err := c.bound.CheckShop(id)
			require.ErrorAs(t, err, new(*ShopError), "%q", id)
			require.Less(t, len(err.Error()), 300, "a message is not as long as the id")
		}
	}
}

func TestHasAndCountLookAtTheShopAlone(t *testing.T) {
	t.Parallel()
	e := newEnv(t, usersTable, "INSERT INTO shop_users (shop_id, user_id, deleted_at) VALUES (1, 1, NULL), (1, 2, NOW()), (1, 3, NOW()), (12, 1, NOW())")
	spec := usersSpec()
	spec.Where = "deleted_at IS NULL -- only those"
	query := qSpec("SELECT user_id FROM shop_users WHERE shop_id = :shop")
	for _, b := range []*Bound{e.bind(t, spec), e.bind(t, query)} {
		for shop, want := range map[string]int64{"1": 3, "12": 1, "2": 0} {
			has, err := b.Has(t.Context(), shop)
			require.NoError(t, err)
			require.Equal(t, want > 0, has)
			for _, upTo := range []int64{0, 1, 2, 3, 100} {
				n, err := b.Count(t.Context(), shop, upTo)
				require.NoError(t, err)
				if upTo > 0 {
					want = min(want, upTo)
				}
				require.Equal(t, want, n, "shop %s up to %d", shop, upTo)
				want = map[string]int64{"1": 3, "12": 1, "2": 0}[shop]
			}
		}
		for _, id := range []string{"12abc", "1 OR 1=1", "1) OR (1=1", "1; DROP TABLE shop_users", "1/**/"} {
			_, err := b.Has(t.Context(), id)
			require.ErrorAs(t, err, new(*ShopError))
			_, err = b.Count(t.Context(), id, 0)
			require.ErrorAs(t, err, new(*ShopError))
			require.ErrorAs(t, b.Split(t.Context(), id, 10, 0, nil), new(*ShopError))
		}
	}
	require.Equal(t, []string{"4"}, e.strings(t, "SELECT COUNT(*) FROM shop_users"))
}

func TestTextIDsMustBeSpelledAsTheDatabaseSpellsThem(t *testing.T) {
	t.Parallel()
	e := newEnv(t, `CREATE TABLE s (shop VARCHAR(40) COLLATE utf8mb4_general_ci, id INT, PRIMARY KEY (shop, id))`,
		`INSERT INTO s VALUES ('ABC', 1), ('ABC', 2), ('O''Neil \\ "x"', 1), ('直播', 1)`)
	paged := dataset.Spec{Name: "s", Table: "s", Shop: "shop", By: []string{"id"}, Columns: []string{"id"}, Key: "s:{shop}:{id}"}
	for _, b := range []*Bound{e.bind(t, paged), e.bind(t, qSpec("SELECT x.id FROM s AS x WHERE x.shop = :shop"))} {
		for _, id := range []string{"ABC", `O'Neil \ "x"`, "直播"} {
			has, err := b.Has(t.Context(), id)
			require.NoError(t, err, id)
			require.True(t, has, id)
		}
		for _, id := range []string{"abc", "äbc", "Abc"} {
			_, err := b.Has(t.Context(), id)
			require.ErrorContains(t, err, `is spelled "ABC" in the database`)
			require.ErrorAs(t, err, new(*ShopError))
		}
		for _, id := range []string{"' OR ''='", `\' OR 1=1 --`, "ABD", "%"} {
			has, err := b.Has(t.Context(), id)
			require.NoError(t, err, id)
			require.False(t, has, id)
		}
	}
}
