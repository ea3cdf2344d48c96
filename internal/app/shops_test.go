package app_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// schema is a shop system of the tests' own; nothing of it is prewarm's.
var schema = []string{
	`CREATE TABLE shops (id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL, plan VARCHAR(20), logo VARCHAR(200)) CHARSET=utf8mb4`,
	`CREATE TABLE staff (id BIGINT PRIMARY KEY, shop_id BIGINT NOT NULL, name VARCHAR(100) NOT NULL, role VARCHAR(20), KEY (shop_id)) CHARSET=utf8mb4`,
	`CREATE TABLE shop_users (shop_id BIGINT NOT NULL, user_id BIGINT NOT NULL, nickname VARCHAR(100) NOT NULL, level INT NOT NULL,
		balance DECIMAL(12,2) NOT NULL, note VARCHAR(100), deleted_at DATETIME, PRIMARY KEY (shop_id, user_id)) CHARSET=utf8mb4`,
	`CREATE TABLE products (product_id BIGINT PRIMARY KEY, shop_id BIGINT NOT NULL, title VARCHAR(100) NOT NULL, price DECIMAL(10,2) NOT NULL,
		stock INT NOT NULL, note VARCHAR(100), KEY by_shop (shop_id, product_id)) CHARSET=utf8mb4`,
	`CREATE TABLE marketing (id BIGINT PRIMARY KEY, shop_id BIGINT NOT NULL, kind VARCHAR(20) NOT NULL, text VARCHAR(100), KEY (shop_id)) CHARSET=utf8mb4`,
}

const datasets = `
datasets:
  - name: shop
    query: SELECT id, name, plan, logo FROM shops WHERE id = :shop
    key: shop:{id}
    value: json
  - name: staff
    query: SELECT id, name, role FROM staff WHERE shop_id = :shop ORDER BY id
    key: shop:{shop}:staff
    value: json_array
  - name: users
    table: shop_users
    shop: shop_id
    by: [user_id]
    columns: [user_id, nickname, level, balance, note]
    where: deleted_at IS NULL
    key: user:{shop}:{user_id}
    value: json
  - name: products
    table: products
    shop: shop_id
    by: [product_id]
    columns: [product_id, title, price, stock, note]
    key: product:{shop}:{product_id}
    value: hash
  - name: marketing
    query: SELECT id, kind, text FROM marketing WHERE shop_id = :shop ORDER BY id
    key: shop:{shop}:marketing
    value: hash
    field: "{id}"
`

// seed makes a shop with so many users, a tenth as many products, and a few staff and marketing rows. Every fiftieth
// user is deleted; some columns are NULL, some text needs escaping.
func seed(t *testing.T, db *sql.DB, shop, users int) {
	t.Helper()
	insert(t, db, "shops (id, name, plan, logo)", 1, func(int) string { return fmt.Sprintf("(%d, 'Shop \"%d\" 直播', 'gold', NULL)", shop, shop) })
	insert(t, db, "staff (id, shop_id, name, role)", 3, func(i int) string {
		return fmt.Sprintf("(%d, %d, 'Ann\\\\%d', IF(%d = 1, NULL, 'host'))", shop*1000+i, shop, i, i)
	})
	insert(t, db, "marketing (id, shop_id, kind, text)", 2, func(i int) string {
		return fmt.Sprintf("(%d, %d, 'coupon', '%d%% off <b>')", shop*1000+i, shop, i*10)
	})
	insert(t, db, "products (product_id, shop_id, title, price, stock, note)", users/10, func(i int) string {
		return fmt.Sprintf("(%d, %d, 'Product %d', %d.50, %d, IF(%d %% 3 = 0, NULL, 'n'))", shop*100000+i, shop, i, i, i*7, i)
	})
	insert(t, db, "shop_users (shop_id, user_id, nickname, level, balance, note, deleted_at)", users, func(i int) string {
		return fmt.Sprintf("(%d, %d, 'user %d \\n', %d, %d.25, IF(%d %% 2 = 0, NULL, ''), IF(%d %% 50 = 7, '2026-01-01', NULL))", shop, i*3, i, i%9, i, i, i)
	})
}

func insert(t *testing.T, db *sql.DB, into string, n int, row func(i int) string) {
	t.Helper()
	const atOnce = 2000
	for from := 1; from <= n; from += atOnce {
		var rows []string
		for i := from; i <= min(n, from+atOnce-1); i++ {
			rows = append(rows, row(i))
		}
		_, err := db.ExecContext(t.Context(), "INSERT INTO "+into+" VALUES "+strings.Join(rows, ","))
		require.NoError(t, err)
	}
}

// expected is what the cache must hold for a shop, read from the source row by row: a JSON document per string key, the
// fields of a hash per hash key.
type expected struct {
	texts  map[string]any
	hashes map[string]map[string]string
}

func expect(t *testing.T, db *sql.DB, shop int) expected {
	t.Helper()
	e := expected{map[string]any{}, map[string]map[string]string{}}
	each(t, db, "SELECT id, name, plan, logo FROM shops WHERE id = ?", shop, func(r row) {
		e.texts["shop:"+r["id"].(string)] = r.document("id")
	})
	staff := []any{}
	each(t, db, "SELECT id, name, role FROM staff WHERE shop_id = ? ORDER BY id", shop, func(r row) { staff = append(staff, r.document("id")) })
	e.texts[fmt.Sprintf("shop:%d:staff", shop)] = staff
	each(t, db, "SELECT user_id, nickname, level, balance, note FROM shop_users WHERE deleted_at IS NULL AND shop_id = ?", shop, func(r row) {
		e.texts[fmt.Sprintf("user:%d:%s", shop, r["user_id"])] = r.document("user_id", "level")
	})
	each(t, db, "SELECT product_id, title, price, stock, note FROM products WHERE shop_id = ?", shop, func(r row) {
		fields := map[string]string{}
		for name, v := range r {
			if v != nil {
				fields[name] = v.(string)
			}
		}
		e.hashes[fmt.Sprintf("product:%d:%s", shop, r["product_id"])] = fields
	})
	marketing := map[string]string{}
	each(t, db, "SELECT id, kind, text FROM marketing WHERE shop_id = ?", shop, func(r row) {
		marketing[r["id"].(string)] = fmt.Sprintf(`{"id":%s,"kind":"coupon","text":"%s"}`, r["id"], r["text"])
	})
	e.hashes[fmt.Sprintf("shop:%d:marketing", shop)] = marketing
	return e
}

func (e expected) keys() int { return len(e.texts) + len(e.hashes) }

// row is a row's columns as text; nil for NULL.
type row map[string]any

// document is the row as JSON decodes it, with these columns as numbers.
func (r row) document(numbers ...string) map[string]any {
	d := map[string]any{}
	for name, v := range r {
		d[name] = v
	}
	for _, name := range numbers {
		d[name] = json.Number(r[name].(string))
	}
	return d
}

func each(t *testing.T, db *sql.DB, query string, shop int, visit func(row)) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, shop)
	require.NoError(t, err)
	defer rows.Close()
	names, err := rows.Columns()
	require.NoError(t, err)
	for rows.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, rows.Scan(into...))
		r := row{}
		for i, v := range values {
			r[names[i]] = nil
			if v.Valid {
				r[names[i]] = v.String
			}
		}
		visit(r)
	}
	require.NoError(t, rows.Err())
}

// requireWarm wants every row of the shop in the cache, as it stands in the source, and its expiry between 30 and 40
// minutes after the broadcast's end.
func requireWarm(t *testing.T, cache *redis.Client, e expected, ends time.Time) {
	t.Helper()
	texts, hashes, expiries := map[string]*redis.StringCmd{}, map[string]*redis.MapStringStringCmd{}, map[string]*redis.DurationCmd{}
	_, err := cache.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for key := range e.texts {
			texts[key], expiries[key] = p.Get(t.Context(), key), p.PExpireTime(t.Context(), key)
		}
		for key := range e.hashes {
			hashes[key], expiries[key] = p.HGetAll(t.Context(), key), p.PExpireTime(t.Context(), key)
		}
		return nil
	})
	require.NoError(t, err)
	for key, want := range e.texts {
		var got any
		d := json.NewDecoder(strings.NewReader(texts[key].Val()))
		d.UseNumber()
		require.NoError(t, d.Decode(&got), key)
		if !equal(want, got) {
			require.Equal(t, want, got, key)
		}
	}
	for key, want := range e.hashes {
		require.Equal(t, want, hashes[key].Val(), key)
	}
	for key, at := range expiries {
		after := time.UnixMilli(at.Val().Milliseconds()).Sub(ends)
		if after < 30*time.Minute || after > 40*time.Minute {
			t.Fatalf("%s expires %s after the end", key, after)
		}
	}
}

// equal is fast where require.Equal is slow: there are thousands of rows.
func equal(want, got any) bool {
	w, ok := want.(map[string]any)
	g, also := got.(map[string]any)
	if !ok || !also || len(w) != len(g) {
		return false
	}
	for k, v := range w {
		if g[k] != v {
			return false
		}
	}
	return true
}

// dataKeys is how many keys a cache has beside the runs' marks.
func dataKeys(t *testing.T, c *redis.Client) int {
	t.Helper()
	return int(c.DBSize(t.Context()).Val()) - len(c.Keys(t.Context(), "prewarm:*").Val())
}

// snapshot is all that a Redis holds, with expiries.
func snapshot(t *testing.T, c *redis.Client) map[string]string {
	t.Helper()
	const atOnce = 2000
	all, cursor := map[string]string{}, uint64(0)
	for {
		keys, next, err := c.Scan(t.Context(), cursor, "*", atOnce).Result()
		require.NoError(t, err)
		values, expiries := make([]*redis.StringCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
		_, err = c.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for i, key := range keys {
				values[i], expiries[i] = p.Dump(t.Context(), key), p.PExpireTime(t.Context(), key)
			}
			return nil
		})
		require.NoError(t, err)
		for i, key := range keys {
			all[key] = values[i].Val() + strconv.FormatInt(expiries[i].Val().Milliseconds(), 10)
		}
		if cursor = next; cursor == 0 {
			return all
		}
	}
}

// calls is how often a Redis ran a command since it started.
func calls(t *testing.T, c *redis.Client, command string) int {
	t.Helper()
	text, err := c.Info(context.WithoutCancel(t.Context()), "commandstats").Result()
	require.NoError(t, err)
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":calls="); ok {
			n, _, _ := strings.Cut(rest, ",")
			count, err := strconv.Atoi(n)
			require.NoError(t, err)
			return count
		}
	}
	return 0
}
