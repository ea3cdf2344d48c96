package refresh

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// bound are datasets of all forms on a real database.
func bound(t *testing.T) (all []Dataset) {
	t.Helper()
	dsn := testenv.MySQL(t)
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	for _, s := range []string{
		"CREATE TABLE users (shop_id INT NOT NULL, user_id BIGINT NOT NULL, mail VARCHAR(20) NOT NULL, PRIMARY KEY (shop_id, user_id))",
		"INSERT INTO users VALUES (1, 7, 'seven')",
		"CREATE TABLE staff (id INT PRIMARY KEY, shop_id INT NOT NULL, role INT, KEY (shop_id))",
		"CREATE TABLE roles (id INT PRIMARY KEY, name VARCHAR(20))",
	} {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
	src, err := source.Open(t.Context(), "main", config.Source{DSN: dsn}, 2)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	for _, spec := range []dataset.Spec{
		{Name: "users", Table: "users", Shop: "shop_id", By: []string{"user_id"}, Columns: []string{"user_id", "mail"}, Key: "user:{shop}:{user_id}", Value: "json"},
		{Name: "mails", Table: "users", Shop: "shop_id", By: []string{"user_id"}, Columns: []string{"user_id", "mail"}, Key: "mail:{shop}:{user_id}:{mail}", Value: "json"},
		{Name: "staff", Query: "SELECT s.id, r.name FROM staff s JOIN roles r ON r.id = s.role WHERE s.shop_id = :shop ORDER BY s.id", Key: "staff:{shop}", Value: "json_array"},
	} {
		b, err := src.Bind(t.Context(), spec)
		require.NoError(t, err)
		all = append(all, b)
	}
	return all
}

func row(pairs ...string) change.Row {
	r := change.Row{}
	for i := 0; i < len(pairs); i += 2 {
		r[pairs[i]] = &pairs[i+1]
	}
	return r
}

func TestWhichRowsAChangeIsAbout(t *testing.T) {
	t.Parallel()
	datasets := bound(t)
	pending := func(shop, dataset, row string) ledger.Pending {
		return ledger.Pending{ShopID: shop, Dataset: dataset, RowKey: row}
	}
	for name, c := range map[string]struct {
		change change.Change
		rows   []ledger.Pending
		why    string
	}{
		"a row that was changed": {
			change: change.Change{Table: "users", Op: change.Update, Before: row("SHOP_ID", "1", "user_id", "7", "mail", "old"), After: row("shop_id", "1", "user_id", "7", "mail", "new")},
			rows:   []ledger.Pending{pending("1", "users", `["7"]`), pending("1", "mails", `["7"]`), pending("1", "mails", "!mail:1:7:old"), pending("1", "mails", "!mail:1:7:new")},
		},
		"a row that moved to another shop": {
			change: change.Change{Table: "users", Op: change.Update, Before: row("shop_id", "1", "user_id", "7"), After: row("shop_id", "2", "user_id", "7")},
			rows:   []ledger.Pending{pending("1", "users", `["7"]`), pending("2", "users", `["7"]`), pending("1", "mails", `["7"]`), pending("2", "mails", `["7"]`)},
		},
		"a row whose key is not told": {
			change: change.Change{Dataset: "users", Shop: "1", Op: change.Update, After: row("mail", "x")},
			rows:   []ledger.Pending{pending("1", "users", "")},
		},
		"a key": {
			change: change.Change{Dataset: "users", Shop: "1", Op: change.Update, Key: []string{"7"}},
			rows:   []ledger.Pending{pending("1", "users", `["7"]`)},
		},
		"a row of a query": {
			change: change.Change{Table: "staff", Op: change.Insert, After: row("id", "3", "shop_id", "1")},
			rows:   []ledger.Pending{pending("1", "staff", "")},
		},
		"a row of a table that is joined": {
			change: change.Change{Table: "roles", Op: change.Update, After: row("id", "3")},
			rows:   []ledger.Pending{pending("", "staff", "")},
		},
		"all of a dataset":          {change: change.Change{Dataset: "users", Op: change.Refresh}, rows: []ledger.Pending{pending("", "users", "")}},
		"a table that nobody reads": {change: change.Change{Table: "others", After: row("shop_id", "1")}, why: whyUnknown},
		"a table of another schema": {change: change.Change{Database: "elsewhere", Table: "users", After: row("shop_id", "1", "user_id", "7")}, why: whyUnknown},
		"no shop":                   {change: change.Change{Table: "users", Op: change.Delete, Before: row("user_id", "7")}, why: whyNoShop},
		"a shop that cannot be":     {change: change.Change{Dataset: "users", Shop: "x", Op: change.Update}, why: whyBadShop},
		"a key that cannot be":      {change: change.Change{Dataset: "users", Shop: "1", Op: change.Update, Key: []string{"7", "8"}}, why: whyBadKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, why := resolve(datasets, c.change)
			require.ElementsMatch(t, c.rows, rows)
			require.Equal(t, c.why, why)
		})
	}
	for op, urgent := range map[string]bool{change.Delete: true, change.Hide: true, change.Update: false, change.Insert: false} {
		rows, _ := resolve(datasets, change.Change{Dataset: "users", Shop: "1", Key: []string{"7"}, Op: op})
		require.Equal(t, urgent, rows[0].Urgent, op)
	}
}

func TestEveryShopIsThoseThatAreCached(t *testing.T) {
	t.Parallel()
	rows := everyShop([]ledger.Pending{{Dataset: "staff", RowKey: "x", Urgent: true}, {ShopID: "9", Dataset: "staff"}}, ledger.Cached{"1": "", "2": "users"})
	require.ElementsMatch(t, []ledger.Pending{{ShopID: "1", Dataset: "staff", Urgent: true}, {ShopID: "2", Dataset: "staff", Urgent: true}, {ShopID: "9", Dataset: "staff"}}, rows)
}

func TestARefreshIsDueAfterTheLastOneAndTheBeginning(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)
	require.Equal(t, at.Add(time.Minute), dueAt(ledger.Fresh{RefreshedAt: at}, time.Minute))
	require.Equal(t, at.Add(time.Minute), dueAt(ledger.Fresh{StartedAt: at}, time.Minute))
	require.Equal(t, at.Add(time.Minute), dueAt(ledger.Fresh{RefreshedAt: at.Add(-time.Hour), StartedAt: at}, time.Minute))
	shop := ledger.Fresh{ShopID: "1", Dataset: "users"}
	require.False(t, paused([]ledger.Switch{{Scope: ledger.Scope{Kind: ledger.ScopeShop, ID: "2"}}, {Scope: ledger.Scope{Kind: ledger.ScopeDataset, ID: "staff"}}}, shop))
	for _, w := range []ledger.Switch{{Scope: ledger.Scope{Kind: ledger.ScopeAll}}, {Scope: ledger.Scope{Kind: ledger.ScopeShop, ID: "1"}}, {Scope: ledger.Scope{Kind: ledger.ScopeDataset, ID: "users"}}} {
		require.True(t, paused([]ledger.Switch{{Scope: ledger.Scope{Kind: ledger.ScopeShop, ID: "2"}}, w}, shop), w.Kind)
	}
}

func TestRowsOfAGroupAreDoneTogether(t *testing.T) {
	t.Parallel()
	row := func(shop, dataset, key string) ledger.Pending {
		return ledger.Pending{ShopID: shop, Dataset: dataset, RowKey: key}
	}
	require.Equal(t, [][]ledger.Pending{{row("2", "a", "1"), row("2", "a", "2")}, {row("1", "a", "1")}, {row("2", "b", "1")}},
		grouped([]ledger.Pending{row("2", "a", "1"), row("1", "a", "1"), row("2", "b", "1"), row("2", "a", "2")}))
}
