package propose_test

import (
	"database/sql"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/propose"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// proposals runs the statements and proposes a dataset for each table, which the database must agree with.
func proposals(t *testing.T, column string, statements ...string) (propose.Owners, map[string]propose.Dataset, map[string]propose.LeftOut) {
	t.Helper()
	dsn := testenv.MySQL(t)
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
	src, err := source.Open(t.Context(), "main", config.Source{DSN: dsn}, 1)
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	tables, err := src.Catalog(t.Context())
	require.NoError(t, err)
	owners, err := propose.FindOwners(tables, column)
	require.NoError(t, err)
	found, out := map[string]propose.Dataset{}, map[string]propose.LeftOut{}
	for _, table := range tables {
		var largest int64
		if shop := owners.Of[table.Name]; shop != "" && !table.View {
			largest, err = src.Largest(t.Context(), &table.Table, shop)
			require.NoError(t, err)
		}
		d, left := propose.ForTable(table, owners, largest, nil)
		if left != nil {
			out[table.Name] = *left
			continue
		}
		_, err := src.Bind(t.Context(), d.Spec)
		require.NoError(t, err, table.Name)
		found[table.Name] = d
	}
	return owners, found, out
}

// many inserts rows for shop 7.
func many(into, values string) string {
	return "INSERT INTO " + into + " SELECT " + values + " FROM " + testenv.Numbers(1, 300)
}

func TestAShopSchemaIsUnderstood(t *testing.T) {
	t.Parallel()
	owners, found, out := proposals(t, "",
		"CREATE TABLE shops (id BIGINT PRIMARY KEY, name VARCHAR(20) NOT NULL, api_key VARCHAR(20), score FLOAT)",
		"CREATE TABLE staff (id BIGINT PRIMARY KEY, shop_id BIGINT NOT NULL, name VARCHAR(20), KEY (shop_id))",
		`CREATE TABLE users (shop_id BIGINT, user_id BIGINT, nick VARCHAR(20), password_hash VARCHAR(64), photo LONGBLOB, deleted_at DATETIME,
			touched DATETIME ON UPDATE CURRENT_TIMESTAMP, PRIMARY KEY (shop_id, user_id))`,
		"CREATE TABLE loose (shop_id BIGINT NOT NULL, id BIGINT PRIMARY KEY, v INT)",
		"CREATE TABLE settings (shop_id BIGINT PRIMARY KEY, colour VARCHAR(20), ContactPhone VARCHAR(20), email VARCHAR(20) UNIQUE)",
		"CREATE TABLE countries (code CHAR(2) PRIMARY KEY, name VARCHAR(20))",
		"CREATE VIEW v AS SELECT shop_id, user_id FROM users",
		many("users (shop_id, user_id, nick)", "7, seq, 'n'"), many("loose", "7, seq, 1"))
	require.Equal(t, "shop_id", owners.Column)
	require.Equal(t, "shops", owners.Root)

	users := found["users"]
	require.Equal(t, dataset.Spec{Name: "users", Table: "users", Shop: "shop_id", By: []string{"user_id"},
		Columns: []string{"shop_id", "user_id", "nick", "deleted_at", "touched"}, Where: "`deleted_at` IS NULL",
		Key: "users:{shop}:{user_id}", Value: dataset.ValueJSON, ChangedAt: "touched"}, users.Spec)
	require.Equal(t, []string{"password_hash", "photo"}, users.Withheld)
	require.EqualValues(t, 300, users.Rows)

	require.Equal(t, "SELECT `id`, `name`, `score` + 0e0 AS `score` FROM `shops` WHERE `id` = :shop", found["shops"].Spec.Query)
	require.Equal(t, []string{"api_key"}, found["shops"].Withheld)
	require.Equal(t, "SELECT `id`, `shop_id`, `name` FROM `staff` WHERE `shop_id` = :shop ORDER BY `id`", found["staff"].Spec.Query)
	require.Equal(t, dataset.ValueJSONArray, found["staff"].Spec.Value)
	require.Equal(t, dataset.ValueJSON, found["settings"].Spec.Value, "one row per shop")
	require.Equal(t, []string{"ContactPhone"}, found["settings"].Personal, "what tells rows apart may be part of a key")
	require.Contains(t, propose.File{Datasets: []propose.Dataset{found["settings"]}}.YAML(), "\n    # drop: [ContactPhone] ")

	require.Contains(t, out["loose"].Remedy, "CREATE INDEX prewarm_shop ON `loose` (`shop_id`, `id`)")
	require.Contains(t, out["countries"].Why, "no column of the shop")
	require.Contains(t, out["v"].Why, "is a view")
}

func TestOddNamesAndKeysOfSeveralColumns(t *testing.T) {
	t.Parallel()
	owners, found, out := proposals(t, "",
		"CREATE TABLE `Clinic` (`ClinicRef` VARCHAR(12) PRIMARY KEY, `Display Name` VARCHAR(20)) CHARSET=utf8mb4",
		"CREATE TABLE `2024-visits` (`where` VARCHAR(12) NOT NULL, `visit-no` INT, `line` INT, `not a name` INT, `is_deleted` TINYINT NOT NULL DEFAULT 0, "+
			"PRIMARY KEY (`visit-no`, `line`), KEY (`where`), CONSTRAINT fk FOREIGN KEY (`where`) REFERENCES `Clinic` (`ClinicRef`)) CHARSET=utf8mb4",
		"CREATE TABLE doctors (clinicRef VARCHAR(12) NOT NULL, badge INT NOT NULL, `order` INT, UNIQUE (clinicRef, badge)) CHARSET=utf8mb4",
		"INSERT INTO Clinic VALUES ('north', 'North')",
		"INSERT INTO `2024-visits` SELECT 'north', seq, 1, 1, 0 FROM "+testenv.Numbers(1, 300),
		"CREATE TABLE notes (k INT PRIMARY KEY, clinicref VARCHAR(12), text TEXT, KEY (clinicref)) CHARSET=utf8mb4")
	require.Equal(t, "Clinic", owners.Root)
	require.Equal(t, map[string]string{"Clinic": "ClinicRef", "2024-visits": "where", "doctors": "clinicRef", "notes": "clinicref"}, owners.Of)
	visits := found["2024-visits"].Spec
	require.Equal(t, "t_2024_visits", visits.Name)
	require.Equal(t, []string{"visit-no", "line"}, visits.By)
	require.Equal(t, "`is_deleted` = 0", visits.Where)
	require.Equal(t, []string{"not a name"}, found["2024-visits"].Withheld)
	require.Contains(t, found["doctors"].Spec.Query, "`order`")
	require.Contains(t, found, "notes")
	require.Empty(t, out)
}

func TestAColumnThatIsNamedWinsAndOneThatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	schema := []string{
		"CREATE TABLE a (id INT PRIMARY KEY, shop_id INT, region INT, KEY (shop_id), KEY (region))",
		"CREATE TABLE b (id INT PRIMARY KEY, shop_id INT, region INT, KEY (shop_id), KEY (region))",
	}
	owners, _, _ := proposals(t, "", schema...)
	require.Equal(t, "shop_id", owners.Column)
	owners, found, _ := proposals(t, "Region", schema...)
	require.Equal(t, "region", owners.Column)
	require.Contains(t, found["a"].Spec.Query, "WHERE `region` = :shop")
	_, err := propose.FindOwners(nil, "nothing")
	require.ErrorContains(t, err, "--shop-column")
	_, err = propose.FindOwners(nil, "")
	require.ErrorIs(t, err, propose.ErrNoShop)
}

// Whatever tables and columns are called, the file says what was meant.
func TestTheFileReadsBackAsItWasMeant(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching("[a-zA-Z0-9 _:#'\"\\\\`{}$,.é-]{1,12}"), rapid.SampledFrom([]string{"${A}", "yes", "null", "a: b", "a #b", "[x]"}))
		spec := dataset.Spec{
			Name: "d", Query: "SELECT `" + text.Draw(t, "column") + "` FROM `" + text.Draw(t, "table") + "`", Table: text.Draw(t, "table name"),
			Shop: text.Draw(t, "shop"), By: rapid.SliceOfN(text, 1, 3).Draw(t, "by"), Columns: rapid.SliceOfN(text, 1, 40).Draw(t, "columns"),
			Where: "`" + text.Draw(t, "where") + "` = 0", Key: text.Draw(t, "key"), ChangedAt: text.Draw(t, "changed at"), Value: dataset.ValueJSONArray,
		}
		f := propose.File{Source: "u:p@tcp(h)/s", Datasets: []propose.Dataset{{Spec: spec, Withheld: []string{text.Draw(t, "withheld")}, Personal: []string{text.Draw(t, "personal")}}},
			LeftOut: []propose.LeftOut{{Table: text.Draw(t, "left out"), Why: "is\na view"}}}
		var read struct{ Datasets []dataset.Spec }
		if err := yaml.Unmarshal([]byte(f.YAML()), &read); err != nil {
			t.Fatalf("%v in\n%s", err, f.YAML())
		}
		require.Len(t, read.Datasets, 1)
		require.Equal(t, escaped(spec), read.Datasets[0])
	})
}
