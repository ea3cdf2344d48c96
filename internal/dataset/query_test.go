package dataset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQueryIsReadAsFarAsNeeded(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]Query{
		"SELECT a FROM shops WHERE id = :shop": {Shops: 1,
			Tables: []TableRef{{"", "shops", "shops"}}, ShopIsA: []ColumnRef{{"", "id"}}},
		"select * from `db`.`my shops` as s join staff t on t.shop_id=s.id where :shop = s.`id` and ':shop'<>t.x": {Shops: 1,
			Tables: []TableRef{{"db", "my shops", "s"}, {"", "staff", "t"}}, ShopIsA: []ColumnRef{{"s", "id"}}},
		"SELECT :shop AS shop, x FROM a, b c LEFT JOIN d USING (id) WHERE c.shop IN (:shop)": {Shops: 2,
			Tables: []TableRef{{"", "a", "a"}, {"", "b", "c"}, {"", "d", "d"}}, ShopIsA: []ColumnRef{{"c", "shop"}}},
		"(SELECT x FROM a WHERE id<=>:shop) UNION ALL (SELECT y FROM b WHERE :shop=db.b.id)": {Shops: 2,
			Tables: []TableRef{{"", "a", "a"}, {"", "b", "b"}}, ShopIsA: []ColumnRef{{"", "id"}, {"b", "id"}}},
		"WITH c AS (SELECT id FROM a /* FROM z */ WHERE TRIM(BOTH FROM n) = 1) SELECT 1 FROM c WHERE LOWER(id) = :shop": {Shops: 1,
			Tables: []TableRef{{"", "a", "a"}, {"", "n", "n"}, {"", "c", "c"}}},
		"SELECT 1 FROM a WHERE :shop = LOWER(id) AND x > :shop": {Shops: 2, Tables: []TableRef{{"", "a", "a"}}},
	} {
		q, err := ParseQuery(sql)
		require.NoError(t, err, sql)
		require.Equal(t, want, Query{Shops: q.Shops, Tables: q.Tables, ShopIsA: q.ShopIsA}, sql)
	}
}

func TestShopIsReplacedOutsideOfStringsAndCommentsOnly(t *testing.T) {
	t.Parallel()
	q, err := ParseQuery("SELECT ':shop', \"it''s :shop\\\" :shop\", `:shop` -- :shop\n# :shop\n/* :shop */ FROM a WHERE b=:shop AND c=:shop")
	require.NoError(t, err)
	require.Equal(t, "SELECT ':shop', \"it''s :shop\\\" :shop\", `:shop` -- :shop\n# :shop\n/* :shop */ FROM a WHERE b=? AND c=?", q.With("?"))
}

func FuzzParseQuery(f *testing.F) {
	f.Add("SELECT a FROM b WHERE c = :shop")
	f.Add("SELECT 'x\\'' FROM `a``b` -- \n WHERE :shop <=> d.e")
	f.Fuzz(func(t *testing.T, sql string) {
		if q, err := ParseQuery(sql); err == nil {
			require.Equal(t, sql, q.With(":shop"))
			require.Positive(t, q.Shops)
		}
		_ = checkCondition(sql)
	})
}

func TestTheColumnThatSaysTheShop(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]bool{
		"SELECT id, name FROM shops WHERE id = :shop":                         true,
		"SELECT s.name, s.id FROM shops AS s WHERE :shop = s.id":              true,
		"select `id` from shops where id in (:shop)":                          true,
		"SELECT id + 1 AS id FROM shops WHERE id = :shop":                     false,
		"SELECT other AS id, name FROM shops WHERE id = :shop":                false,
		"SELECT other id FROM shops WHERE id = :shop":                         false,
		"SELECT max(id) FROM shops WHERE id = :shop":                          false,
		"SELECT id FROM staff WHERE shop_id = :shop":                          false,
		"SELECT id FROM shops WHERE id = :shop OR boss = 1":                   false,
		"SELECT id FROM shops WHERE id = :shop UNION SELECT id FROM x":        false,
		"SELECT a.id FROM shops a JOIN b ON b.id = a.b WHERE a.id = :shop":    false,
		"SELECT name FROM shops WHERE id = :shop":                             false,
		"WITH s AS (SELECT 1) SELECT id FROM shops WHERE id = :shop":          false,
		"SELECT id, (SELECT 1 FROM x) AS name FROM shops WHERE id = :shop":    false,
		"SELECT (SELECT 1 FROM x) AS name, id FROM shops WHERE id = :shop":    false,
		"SELECT DISTINCT id FROM shops WHERE id = :shop":                      false,
		"SELECT id -- the shop's\n, name FROM shops WHERE id = :shop LIMIT 1": true,
	} {
		q, err := ParseQuery(sql)
		require.NoError(t, err, sql)
		require.Equal(t, want, q.ShopIs("id"), sql)
	}
}
