package faults

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/faults/check"
)

// The shop system of the evenings. What changes of a row is its version, and its body, which follows from the version: so
// the checker knows what any version of any row looked like.
var tables = []string{
	`CREATE TABLE shops (id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL, plan VARCHAR(20), version BIGINT NOT NULL DEFAULT 0, body VARCHAR(200) NOT NULL)`,
	`CREATE TABLE staff (id BIGINT PRIMARY KEY, shop_id BIGINT NOT NULL, role VARCHAR(20), version BIGINT NOT NULL DEFAULT 0, body VARCHAR(200) NOT NULL, KEY (shop_id))`,
	`CREATE TABLE marketing (id BIGINT PRIMARY KEY, shop_id BIGINT NOT NULL, kind VARCHAR(20), version BIGINT NOT NULL DEFAULT 0, body VARCHAR(200) NOT NULL, KEY (shop_id))`,
	`CREATE TABLE users (shop_id BIGINT NOT NULL, user_id BIGINT NOT NULL, nickname VARCHAR(100), level INT NOT NULL, balance DECIMAL(12,2) NOT NULL,
		version BIGINT NOT NULL DEFAULT 0, body VARCHAR(200) NOT NULL, PRIMARY KEY (shop_id, user_id))`,
	`CREATE TABLE products (product_id BIGINT PRIMARY KEY, shop_id BIGINT NOT NULL, price DECIMAL(10,2) NOT NULL, note VARCHAR(100),
		version BIGINT NOT NULL DEFAULT 0, body VARCHAR(200) NOT NULL, KEY by_shop (shop_id, product_id))`,
	`CREATE TABLE orders (shop_id BIGINT NOT NULL, day DATE NOT NULL, seq INT NOT NULL, total DECIMAL(10,2), version BIGINT NOT NULL DEFAULT 0,
		body VARCHAR(200) NOT NULL, PRIMARY KEY (shop_id, day, seq))`,
	`CREATE TABLE hot (shop_id BIGINT NOT NULL, item_id BIGINT NOT NULL, stock INT NOT NULL, version BIGINT NOT NULL DEFAULT 0, body VARCHAR(200) NOT NULL,
		PRIMARY KEY (shop_id, item_id))`,
}

// kinds are the datasets: what the pods are configured with, what the editor changes, and what the checker reads.
var kinds = []kind{
	{name: "shop", table: "shops", shop: "id", key: []string{"id"}, columns: "id, name, plan", text: []string{"name", "plan"}, to: "shop:{id}", form: check.Document},
	{name: "staff", table: "staff", shop: "shop_id", key: []string{"id"}, columns: "id, role", text: []string{"role"}, to: "shop:{shop}:staff", form: check.Documents},
	{name: "marketing", table: "marketing", shop: "shop_id", key: []string{"id"}, columns: "id, kind", text: []string{"kind"}, to: "shop:{shop}:marketing", form: check.Rows},
	{name: "users", table: "users", shop: "shop_id", key: []string{"user_id"}, columns: "user_id, nickname, level, balance", text: []string{"nickname", "balance"},
		to: "user:{shop}:{user_id}", form: check.Document, paged: true},
	{name: "products", table: "products", shop: "shop_id", key: []string{"product_id"}, columns: "product_id, price, note", text: []string{"price", "note"},
		to: "product:{shop}:{product_id}", form: check.Hash, paged: true},
	{name: "orders", table: "orders", shop: "shop_id", key: []string{"day", "seq"}, columns: "day, seq, total", text: []string{"day", "total"},
		to: "order:{shop}:{day}:{seq}", form: check.Document, paged: true},
	{name: "hot", table: "hot", shop: "shop_id", key: []string{"item_id"}, columns: "item_id, stock", to: "hot:{shop}:{item_id}", form: check.Document, paged: true, newer: true},
}

// kind is one dataset.
type kind struct {
	name, table, shop string
	key               []string // columns that are unique within a shop
	columns           string   // beside version and body
	text              []string // of these, the text columns
	to                string   // the key's template
	form              string
	paged             bool
	newer             bool // an older version never replaces a newer one
}

// body is the SQL of a row's body, which bodyOf computes as well.
func (k kind) body() string {
	return fmt.Sprintf(`CONCAT('%s ', %s, ' "v', version, '" 直播')`, k.name, strings.Join(k.key, ", '/', "))
}

func (k kind) bodyOf(r check.Row) string {
	return fmt.Sprintf(`%s %s "v%s" 直播`, k.name, k.rowKey(r), r.Text("version"))
}

func (k kind) rowKey(r check.Row) string {
	parts := make([]string, len(k.key))
	for i, column := range k.key {
		parts[i] = r.Text(column)
	}
	return strings.Join(parts, "/")
}

// dataset is the kind for the checker.
func (k kind) dataset() check.Dataset {
	d := check.Dataset{
		Name: k.name, Key: k.to, Form: k.form, Text: append([]string{"body"}, k.text...), Body: k.bodyOf,
		Query: fmt.Sprintf("SELECT %s, version, body FROM %s WHERE %s = ? ORDER BY %s", k.columns, k.table, k.shop, strings.Join(k.key, ", ")),
		ID:    func(r check.Row) string { return k.name + "/" + k.rowKey(r) },
	}
	if k.paged {
		d.By = k.key
	}
	if k.form == check.Documents || k.form == check.Rows {
		d.Field = "{id}"
	}
	return d
}

// yaml is the kind for a pod.
func (k kind) yaml(newer bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  - name: %s\n    key: %q\n", k.name, k.to)
	if k.paged {
		fmt.Fprintf(&b, "    table: %s\n    shop: %s\n    by: [%s]\n    columns: [%s, version, body]\n", k.table, k.shop, strings.Join(k.key, ", "), k.columns)
	} else {
		fmt.Fprintf(&b, "    query: SELECT %s, version, body FROM %s WHERE %s = :shop ORDER BY id\n", k.columns, k.table, k.shop)
	}
	switch k.form {
	case check.Document:
		b.WriteString("    value: json\n")
	case check.Documents:
		b.WriteString("    value: json_array\n")
	case check.Hash:
		b.WriteString("    value: hash\n")
	case check.Rows:
		b.WriteString("    value: hash\n    field: \"{id}\"\n")
	}
	if k.newer && newer {
		b.WriteString("    changed_at: version\n    write: newer\n")
	}
	return b.String()
}

// rows is how many rows of the kind a shop was seeded with.
func (k kind) rows(s shop) int {
	return map[string]int{"shop": 1, "staff": 4, "marketing": 3, "users": s.rows, "products": s.rows / 5, "orders": s.rows / 5, "hot": s.rows/10 + 1}[k.name]
}

// rowName names a shop's n-th row as SQL and as the History does.
func (k kind) rowName(s shop, n int) (key, id string) {
	switch k.name {
	case "shop":
		return fmt.Sprint(s.id), fmt.Sprint(s.id)
	case "orders":
		day := time.Date(2026, 1, 1+n/7, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
		return fmt.Sprintf("('%s', %d)", day, idOf(s.id, n%7)), fmt.Sprintf("%s/%d", day, idOf(s.id, n%7))
	}
	return fmt.Sprint(idOf(s.id, n)), fmt.Sprint(idOf(s.id, n))
}

// A row's ids are unique over all shops, so that History can name it by its key alone.
func idOf(shop, n int) int { return shop*100000 + n }

const days = "DATE('2026-01-01') + INTERVAL %d DAY"

// seedShop makes a shop with about so many rows.
func seedShop(t *testing.T, db *sql.DB, shop, rows int) {
	t.Helper()
	put := func(into string, n int, row func(i int) string) {
		const atOnce = 1000
		for from := 1; from <= n; from += atOnce {
			var all []string
			for i := from; i < min(n+1, from+atOnce); i++ {
				all = append(all, row(i))
			}
			_, err := db.ExecContext(t.Context(), "INSERT INTO "+into+" VALUES "+strings.Join(all, ","))
			require.NoError(t, err)
		}
	}
	put("shops (id, name, plan, body)", 1, func(int) string { return fmt.Sprintf("(%d, 'Shop \"%d\" \\\\ 直播', NULL, '')", shop, shop) })
	put("staff (id, shop_id, role, body)", 4, func(i int) string {
		return fmt.Sprintf("(%d, %d, IF(%d = 1, NULL, 'host'), '')", idOf(shop, i), shop, i)
	})
	put("marketing (id, shop_id, kind, body)", 3, func(i int) string { return fmt.Sprintf("(%d, %d, 'coupon <%d>', '')", idOf(shop, i), shop, i) })
	put("users (shop_id, user_id, nickname, level, balance, body)", rows, func(i int) string {
		return fmt.Sprintf("(%d, %d, IF(%d %% 7 = 0, NULL, 'user\\n%d'), %d, %d.25, '')", shop, idOf(shop, i), i, i, i%9, i)
	})
	put("products (product_id, shop_id, price, note, body)", rows/5, func(i int) string {
		return fmt.Sprintf("(%d, %d, %d.50, IF(%d %% 3 = 0, NULL, 'n'), '')", idOf(shop, i), shop, i, i)
	})
	put("orders (shop_id, day, seq, total, body)", rows/5, func(i int) string {
		return fmt.Sprintf("(%d, "+days+", %d, IF(%d %% 5 = 0, NULL, %d.10), '')", shop, i/7, idOf(shop, i%7), i, i)
	})
	put("hot (shop_id, item_id, stock, body)", rows/10+1, func(i int) string { return fmt.Sprintf("(%d, %d, %d, '')", shop, idOf(shop, i), i) })
}

// seedBodies gives all rows the body of their version.
func seedBodies(ctx context.Context, db *sql.DB) error {
	for _, k := range kinds {
		if _, err := db.ExecContext(ctx, "UPDATE "+k.table+" SET body = "+k.body()); err != nil {
			return err
		}
	}
	return nil
}
