package source

import (
	"testing"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/stretchr/testify/require"
)

const bindTables = `CREATE TABLE b (
	shop BIGINT NOT NULL, id BIGINT NOT NULL, code VARCHAR(20) NOT NULL, maybe INT, kind ENUM('a','b') NOT NULL,
	score FLOAT NOT NULL, flags BIT(3) NOT NULL, doc JSON, note TEXT NOT NULL, at DATETIME NOT NULL, guid BINARY(16) NOT NULL,
	down INT NOT NULL, PRIMARY KEY (id), KEY shops (shop), KEY by_code (shop, code(5)), UNIQUE KEY by_at (shop, at), KEY by_maybe (shop, maybe),
	UNIQUE KEY by_guid (guid), KEY guids (shop, guid), KEY falling (shop, down DESC))`

func bSpec() dataset.Spec {
	return dataset.Spec{Name: "d", Table: "b", Shop: "shop", By: []string{"id"}, Columns: []string{"code", "doc"}, Key: "d:{shop}:{id}"}
}

func qSpec(query string) dataset.Spec {
	return dataset.Spec{Name: "d", Query: query, Key: "d:{shop}", Value: dataset.ValueJSONArray}
}

func TestWhatDoesNotFitTheDatabaseIsNamedWithItsRemedy(t *testing.T) {
	t.Parallel()
	e := newEnv(t, bindTables, "CREATE VIEW v AS SELECT * FROM b", "CREATE TABLE s (id VARCHAR(20) PRIMARY KEY, shop CHAR(3))")
	by := func(columns ...string) func(*dataset.Spec) {
		return func(s *dataset.Spec) {
			s.By, s.Key = columns, "d:{shop}"
			for _, c := range columns {
				s.Key += ":{" + c + "}"
			}
		}
	}
	query := func(q string) func(*dataset.Spec) { return func(s *dataset.Spec) { *s = qSpec(q) } }
	for name, c := range map[string]struct {
		change func(*dataset.Spec)
		want   string
	}{
		"declaration":     {func(s *dataset.Spec) { s.Key = "" }, "dataset d: key: is missing"},
		"table":           {func(s *dataset.Spec) { s.Table = "bb" }, "dataset d: table: there is no table bb; did you mean b? there are: b, s, v"},
		"schema":          {func(s *dataset.Spec) { s.Table = "nowhere.b" }, "table: there is no table nowhere.b; there are none"},
		"view":            {func(s *dataset.Spec) { s.Table = "v" }, "table: v is a view"},
		"shop":            {func(s *dataset.Spec) { s.Shop = "shop_id" }, "shop: table b has no column shop_id; did you mean shop?"},
		"shop type":       {func(s *dataset.Spec) { s.Shop = "at" }, "shop: column at is datetime; use an integer, CHAR or VARCHAR"},
		"column":          {func(s *dataset.Spec) { s.Columns = []string{"cod"} }, "columns: table b has no column cod; did you mean code?"},
		"injection":       {func(s *dataset.Spec) { s.Columns = []string{"id) FROM b--"} }, "columns: cannot contain"},
		"drop":            {func(s *dataset.Spec) { s.Drop = []string{"cod"} }, "drop: table b has no column cod; did you mean code?"},
		"drop of a query": {func(s *dataset.Spec) { *s = qSpec("SELECT code FROM b WHERE shop = :shop"); s.Drop = []string{"note"} }, "drop: there is no column note; name one of code"},
		"changed_at":      {func(s *dataset.Spec) { s.ChangedAt = "changed" }, "changed_at: table b has no column changed; there are: shop"},
		"by":              {by("ident"), "by: table b has no column ident"},
		"by NULL":         {by("maybe"), "by: column maybe can be NULL"},
		"by enum":         {by("kind"), "by: column kind is enum('a','b'), which cannot be paged by"},
		"by float":        {by("score"), "by: column score is float"},
		"by bit":          {by("flags"), "by: column flags is bit(3)"},
		"by text":         {by("note"), "by: column note is text"},
		"not unique":      {by("code"), "by: no unique index of table b says that (code) is unique within a shop; add the columns that make a row unique, or CREATE UNIQUE INDEX `prewarm_d_unique` ON `b` (`shop`, `code`)"},
		"prefix index":    {by("code", "id"), "by: no index of table b begins with (shop, code, id); run CREATE INDEX `prewarm_d` ON `b` (`shop`, `code`, `id`)"},
		"falling index":   {by("down", "id"), "by: no index of table b begins with (shop, down, id)"},
		"no index":        {by("id", "code"), "by: no index of table b begins with (shop, id, code)"},
		"key over shops":  {func(s *dataset.Spec) { by("at")(s); s.Key = "d:{at}" }, "key: lacks {shop}, and (at) is unique within a shop only"},
		"key with braces": {func(s *dataset.Spec) { by("at")(s); s.Key = "d:{{shop}}:{at}" }, "key: lacks {shop}"},
		"where":           {func(s *dataset.Spec) { s.Where = "deleted = 0" }, "where: Error 1054"},
		"where syntax":    {func(s *dataset.Spec) { s.Where = "id >" }, "where: Error 1064"},
		"json of int":     {func(s *dataset.Spec) { s.Columns = []string{"down"}; s.JSON = []string{"down"} }, "json: column down is int"},
		"query table":     {query("SELECT 1 FROM nothing WHERE id = :shop"), "shop_type: the type of :shop cannot be told"},
		"query column":    {query("SELECT nothing FROM b WHERE shop = :shop"), "query: Error 1054"},
		"query syntax":    {query("SELECT FROM b WHERE shop = :shop"), "query: Error 1064"},
		"query shop":      {query("SELECT 1 FROM b WHERE LOWER(shop) = :shop"), "shop_type: the type of :shop cannot be told from the query; add shop_type: integer"},
		"query mixed":     {query("SELECT 1 AS a FROM b WHERE shop = :shop UNION SELECT 1 FROM s WHERE id = :shop"), "shop_type: the type"},
		"query date":      {query("SELECT 1 AS a FROM b WHERE at = :shop"), "shop_type: the type"},
		"query float":     {query("SELECT score FROM b WHERE shop = :shop"), "query: column score is FLOAT, of which MySQL's text form keeps only six digits; write `score + 0e0 AS score`"},
		"query twice":     {query("SELECT id, id FROM b WHERE shop = :shop"), "query: returns two columns called id"},
		"query changed":   {func(s *dataset.Spec) { *s = qSpec("SELECT id FROM b WHERE shop = :shop"); s.ChangedAt = "at" }, "changed_at: the query returns no column at"},
		"query key": {func(s *dataset.Spec) {
			*s = qSpec("SELECT id FROM b WHERE shop = :shop")
			s.Key, s.Value = "d:{nr}", ""
		}, "key: there is no column nr; use {shop} or one of id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bSpec()
			c.change(&s)
			_, err := e.Bind(t.Context(), s)
			require.ErrorContains(t, err, c.want)
			require.ErrorAs(t, err, new(*dataset.SpecError))
			require.True(t, Definitive(err))
		})
	}
}

func TestIndexesThatDo(t *testing.T) {
	t.Parallel()
	e := newEnv(t, bindTables)
	for name, c := range map[string]struct {
		sql  string
		by   []string
		want string
	}{
		"the primary key itself":                 {"CREATE TABLE t1 (shop INT, id INT, PRIMARY KEY (shop, id), UNIQUE KEY a (shop, id))", []string{"id"}, "PRIMARY"},
		"with the primary key behind":            {"CREATE TABLE t2 (shop INT, id INT PRIMARY KEY, KEY a (shop))", []string{"id"}, "a"},
		"a composite one, shorter first":         {"CREATE TABLE t3 (shop INT, x INT NOT NULL, id INT PRIMARY KEY, y INT, KEY a (shop, x, id, y), KEY b (shop, x))", []string{"x", "id"}, "b"},
		"unique by another index":                {"CREATE TABLE t4 (shop INT, x INT NOT NULL, id INT PRIMARY KEY, KEY a (shop, x), UNIQUE KEY u (x, shop))", []string{"x"}, "a"},
		"unique by a prefix":                     {"CREATE TABLE t5 (shop INT, x VARCHAR(9) NOT NULL, id INT PRIMARY KEY, KEY a (shop, x), UNIQUE KEY u (shop, x(3)))", []string{"x"}, "a"},
		"names in capitals, in the database":     {"CREATE TABLE t6 (SHOP INT, X INT, PRIMARY KEY (SHOP, X))", []string{"x"}, "PRIMARY"},
		"another engine with its own index only": {"CREATE TABLE t7 (shop INT, x INT, PRIMARY KEY (shop, x)) ENGINE=MyISAM", []string{"x"}, "PRIMARY"},
	} {
		e.exec(t, c.sql)
		table := c.sql[len("CREATE TABLE "):][:2]
		s := dataset.Spec{Name: "d", Table: table, Shop: "shop", By: c.by, Columns: c.by, Key: "d:{shop}"}
		for _, column := range c.by {
			s.Key += ":{" + column + "}"
		}
		b := e.bind(t, s)
		require.Equal(t, c.want, b.index.Name, name)
	}
}

func TestIndexesThatDoNot(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	hide := "ALTER TABLE h ALTER INDEX a INVISIBLE"
	if e.mariadb() {
		hide = "ALTER TABLE h ALTER INDEX a IGNORED"
	}
	e.exec(t, "CREATE TABLE h (shop INT NOT NULL, id INT PRIMARY KEY, KEY a (shop))", hide,
		"CREATE TABLE m (shop INT NOT NULL, id INT PRIMARY KEY, KEY a (shop)) ENGINE=MyISAM",
		"CREATE TABLE mem (shop INT NOT NULL, id INT, PRIMARY KEY (shop, id)) ENGINE=MEMORY")
	for _, table := range []string{"h", "m", "mem"} {
		_, err := e.Bind(t.Context(), dataset.Spec{Name: "d", Table: table, Shop: "shop", By: []string{"id"}, Columns: []string{"id"}, Key: "d:{shop}:{id}"})
		require.ErrorContains(t, err, "by: no index of table "+table+" begins with (shop, id); run CREATE INDEX", table)
	}
}

func TestShopTypeComesFromTheColumnThatTheQueryComparesWith(t *testing.T) {
	t.Parallel()
	e := newEnv(t, bindTables, "CREATE TABLE s (id VARCHAR(20) PRIMARY KEY, shop CHAR(3), name TEXT)")
	for query, integer := range map[string]bool{
		"SELECT id FROM b WHERE shop = :shop":                                          true,
		"SELECT b.id FROM s JOIN b ON b.shop = s.id WHERE :shop = b.shop":              true,
		"SELECT x.id FROM s x JOIN b y ON x.id = y.id WHERE x.`shop`=:shop":            false,
		"SELECT id, :shop AS asked FROM s WHERE shop IN (:shop)":                       false,
		"WITH c AS (SELECT id FROM b WHERE shop = :shop) SELECT * FROM c":              true,
		"(SELECT id FROM b WHERE shop = :shop) UNION (SELECT maybe FROM b) ORDER BY 1": true,
	} {
		b := e.bind(t, qSpec(query))
		require.Equal(t, integer, b.CheckShop("12") == nil && b.CheckShop("abc") != nil, query)
		require.Equal(t, !integer, b.CheckShop("abc") == nil, query)
	}
	declared := qSpec("SELECT id FROM b WHERE LOWER(shop) = :shop")
	declared.ShopType = dataset.ShopText
	require.NoError(t, e.bind(t, declared).CheckShop("x-1"))
	declared.ShopType = dataset.ShopInteger
	require.ErrorAs(t, e.bind(t, declared).CheckShop("x-1"), new(*ShopError))
}

func TestJSONIsFoundInTheQueryFormToo(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "CREATE TABLE a (shop INT, doc JSON, plain TEXT)", "CREATE TABLE b (shop INT, plain JSON)")
	s := qSpec("SELECT a.doc, a.plain, JSON_OBJECT('n', a.shop) AS made FROM a LEFT JOIN b USING (shop) WHERE a.shop = :shop")
	s.JSON = []string{"made"}
	e.exec(t, `INSERT INTO a VALUES (1, '{"x": [1]}', '{"y": 2}')`)
	b := e.bind(t, s)
	out, err := b.Encoder().AppendObject(nil, firstRow(t, b, "1"))
	require.NoError(t, err)
	want := `{"doc":{"x": [1]},"plain":"{\"y\": 2}","made":{"n": 1}}`
	require.Equal(t, want, string(out))
}
