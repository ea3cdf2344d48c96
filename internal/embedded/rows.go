package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

const (
	// rowsPerInsert keeps a statement of 13 columns well below SQLite's 32,766 arguments.
	rowsPerInsert = 500
	// firstUser makes ids that do not fit a float64, as those of real platforms do not; SQLite's end at 2^63.
	firstUser = 7_100_000_000_000_000_001
)

// epoch is the time around which the shops' rows were written: fixed, so that a seed makes the same rows every day.
var epoch = time.Date(2026, 3, 14, 15, 9, 26, 535_897_000, time.UTC)

// JSON is written as MySQL 8 gives it back: a blank behind , and :, short names before long ones, then by the alphabet.
// MariaDB and SQLite keep it as it was written.

// seedShop writes one shop's rows, in one transaction.
func seedShop(ctx context.Context, db *sql.DB, seed uint64, i int, shop Shop) error {
	r := rand.New(rand.NewPCG(seed, uint64(i)+1))
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	id := int64(1001 + i)
	for _, table := range []struct {
		name    string
		columns string
		rows    int
		row     func(n int) []any
	}{
		{"shops", "id, name, plan, logo, opened_at", 1, func(int) []any {
			return []any{id, shop.Name, plan(shop), logo(r), timestamp(r)}
		}},
		{"staff", "id, shop_id, name, role, rights", 3 + r.IntN(12), func(n int) []any { return staffRow(r, id, n) }},
		{"shop_users", "shop_id, user_id, nickname, avatar, level, points, balance, tags, badge, note, seen_at, " +
			"updated_at, deleted_at", shop.Users, func(n int) []any { return userRow(r, id, n) }},
		{"products", "shop_id, product_id, title, price, stock, attributes, updated_at", 20 + shop.Users/50,
			func(n int) []any { return productRow(r, id, n) }},
		{"marketing", "id, shop_id, kind, content, starts_at, ends_at", 1 + r.IntN(6),
			func(n int) []any { return marketingRow(r, id, n) }},
	} {
		if err := insert(ctx, tx, table.name, table.columns, table.rows, table.row); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// insert writes rows 0 to count-1, many in one statement.
func insert(ctx context.Context, tx *sql.Tx, table, columns string, count int, row func(n int) []any) error {
	group := "(?" + strings.Repeat(", ?", strings.Count(columns, ",")) + ")"
	for from := 0; from < count; from += rowsPerInsert {
		n := min(rowsPerInsert, count-from)
		var args []any
		for k := range n {
			args = append(args, row(from+k)...)
		}
		query := "INSERT INTO " + table + " (" + columns + ") VALUES " + group + strings.Repeat(", "+group, n-1)
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return fmt.Errorf("insert into %s: %w", table, err)
		}
	}
	return nil
}

func plan(s Shop) string {
	if s.KA {
		return "key-account"
	}
	return "basic"
}

func staffRow(r *rand.Rand, shop int64, n int) []any {
	roles := [...]string{"host", "assistant", "stock", "service"}
	return []any{shop*1000 + int64(n), shop, name(r), roles[n%len(roles)],
		maybe(r, 30, `{"areas": ["live", "chat"], "limit": 12.5, "refund": true}`)}
}

func userRow(r *rand.Rand, shop int64, n int) []any {
	// Ids have gaps, and grow with n.
	id := firstUser + shop*1_000_000_000 + int64(n)*7 + int64(r.IntN(7))
	return []any{
		shop, id, name(r),
		maybe(r, 20, "https://img.example/u/"+strconv.FormatInt(id, 36)+".webp"),
		r.IntN(60) - 1,
		r.Int64N(1<<53) - 1<<20,
		fmt.Sprintf("%d.%04d", r.IntN(100_000), r.IntN(10_000)),
		maybe(r, 25, fmt.Sprintf(`["vip%d", {"since": %d, "hearts": "💛"}]`, r.IntN(9), 2015+r.IntN(11))),
		maybe(r, 40, bytes(r, r.IntN(17))),
		maybe(r, 70, note(r)),
		maybe(r, 10, timestamp(r)),
		timestamp(r),
		maybe(r, 99, timestamp(r)),
	}
}

func productRow(r *rand.Rand, shop int64, n int) []any {
	return []any{shop, shop*100_000 + int64(n)*3, name(r) + " № " + strconv.Itoa(n),
		fmt.Sprintf("%d.%02d", 1+r.IntN(999), r.IntN(100)), maybe(r, 15, r.IntN(5000)),
		maybe(r, 30, fmt.Sprintf(`{"sale": null, "sizes": [%d, %d], "colour": "blåbär"}`, 36+r.IntN(4), 41+r.IntN(4))),
		timestamp(r)}
}

func marketingRow(r *rand.Rand, shop int64, n int) []any {
	kinds := [...]string{"coupon", "flash", "bundle", "gift"}
	return []any{shop*100 + int64(n), shop, kinds[r.IntN(len(kinds))],
		fmt.Sprintf(`{"text": "Tonight only 🎁\n<b>%d</b> for you", "percent": %d}`, r.IntN(100), 5*(1+r.IntN(9))),
		timestamp(r), maybe(r, 50, timestamp(r))}
}

// maybe is NULL in so many percent of its calls.
func maybe(r *rand.Rand, percent int, value any) any {
	if r.IntN(100) < percent {
		return nil
	}
	return value
}

func name(r *rand.Rand) string {
	first := [...]string{"Mika", "Zoë", "小明", "Ольга", "Ana María", "Jón", "さくら", "O'Brien", "Ada", "Noor"}
	last := [...]string{"", " ✨", " the \"Great\"", " \\o/", " 🦊", " 77", "\tx", " Ærø", " <3", " 🇳🇴"}
	return first[r.IntN(len(first))] + last[r.IntN(len(last))]
}

func note(r *rand.Rand) string {
	notes := [...]string{"", "asks for an invoice", "line one\nline two", "100% 👍🏽", "{\"not\": \"json\"", "ends in a space "}
	return notes[r.IntN(len(notes))]
}

func bytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return b
}

// logo is a small binary: bytes that are no text.
func logo(r *rand.Rand) []byte { return append([]byte{0x89, 'P', 'N', 'G', 0}, bytes(r, 200)...) }

// timestamp is a time in the two years before epoch, in the text form that MySQL gives a DATETIME(6).
func timestamp(r *rand.Rand) string {
	const twoYears = 2 * 365 * 24 * time.Hour
	return epoch.Add(-time.Duration(r.Int64N(int64(twoYears)))).Format("2006-01-02 15:04:05.000000")
}
