package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// shape is what the data are like.
type shape struct {
	about   string
	shops   func(rows int) []int // rows of each shop
	schema  string
	columns []string
	row     func(b *strings.Builder, r *rand.Rand, shop, id int)
	atOnce  int  // rows that are generated with one statement
	odd     bool // only the product is measured: loop, shell and pipeline know the usual columns alone
}

var shapes = map[string]shape{
	"mixed": {about: "40 shops of very different sizes", shops: unequal, schema: usersSchema, columns: columns, row: usersRow, atOnce: 2000},
	"one":   {about: "one shop", shops: func(rows int) []int { return []int{rows} }, schema: usersSchema, columns: columns, row: usersRow, atOnce: 2000},
	"many":  {about: "shops of 300 rows", shops: small, schema: usersSchema, columns: columns, row: usersRow, atOnce: 2000},
	"slim":  {about: "1,000 equal shops, which are only planned", shops: equal, schema: slimSchema, columns: []string{"user_id", "nickname", "level"}},
	"wide":  {about: "200 columns", shops: unequal, schema: wideSchema(), columns: wideColumns(), row: wideRow, atOnce: 200, odd: true},
	"large": {about: "rows of 100 KB", shops: unequal, schema: largeSchema, columns: []string{"shop_id", "user_id", "document"}, row: largeRow, atOnce: 50, odd: true},
}

func shapeNames() string {
	var names []string
	for name, s := range shapes {
		names = append(names, name+" ("+s.about+")")
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func unequal(left int) (rows []int) {
	for shop := 1; shop <= shopCount && left > 0; shop++ {
		n := max(left/6, 1)
		if shop == shopCount {
			n = left
		}
		left -= n
		rows = append(rows, n)
	}
	return rows
}

func small(left int) (rows []int) {
	for ; left > 0; left -= 300 {
		rows = append(rows, min(left, 300))
	}
	return rows
}

// fill makes the rows, the same every time.
func (s *stand) fill(ctx context.Context) error {
	db, err := sql.Open("mysql", s.near.dsn(sourceSchema))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, s.shape.schema); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same data every time
	s.rows = s.shape.shops(s.o.rows)
	if s.shape.row == nil {
		err = s.fillSlim(ctx, db)
	} else {
		err = s.fillShops(ctx, db, r)
	}
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "ANALYZE TABLE shop_users")
	return err
}

func (s *stand) fillShops(ctx context.Context, db *sql.DB, r *rand.Rand) error {
	for i, n := range s.rows {
		if err := s.fillShop(ctx, db, r, i+1, n); err != nil {
			return fmt.Errorf("generate shop %d: %w", i+1, err)
		}
	}
	return nil
}

func (s *stand) fillShop(ctx context.Context, db *sql.DB, r *rand.Rand, shop, n int) error {
	var b strings.Builder
	id := 0
	for done := 0; done < n; done += s.shape.atOnce {
		b.Reset()
		b.WriteString("INSERT INTO shop_users VALUES ")
		for i := range min(s.shape.atOnce, n-done) {
			if i > 0 {
				b.WriteByte(',')
			}
			id += 1 + r.IntN(3)
			s.shape.row(&b, r, shop, id)
		}
		if _, err := db.ExecContext(ctx, b.String()); err != nil {
			return err
		}
	}
	return nil
}

const usersSchema = `CREATE TABLE shop_users (
	shop_id BIGINT NOT NULL, user_id BIGINT NOT NULL, nickname VARCHAR(64) NOT NULL, avatar VARCHAR(255) NULL,
	level INT NOT NULL, balance DECIMAL(12,2) NOT NULL, city VARCHAR(32) NULL, tags VARCHAR(128) NOT NULL,
	score DOUBLE NOT NULL, vip TINYINT NOT NULL, joined DATE NOT NULL, updated_at DATETIME(3) NOT NULL,
	PRIMARY KEY (shop_id, user_id)) CHARACTER SET utf8mb4`

// columns of a usual row, in the order of its JSON.
var columns = []string{"shop_id", "user_id", "nickname", "avatar", "level", "balance", "city", "tags", "score", "vip", "joined", "updated_at"}

var cities = []string{"上海", "São Paulo", "Berlin", "New York", "Zürich", "København"}

// usersRow has values of mixed types and lengths, some of them NULL.
func usersRow(b *strings.Builder, r *rand.Rand, shop, id int) {
	avatar, city := fmt.Sprintf("'https://img.example.com/avatars/%08x/%d.jpg'", r.Uint32(), id), "'"+cities[r.IntN(len(cities))]+"'"
	if r.IntN(10) == 0 {
		avatar = "NULL"
	}
	if r.IntN(5) == 0 {
		city = "NULL"
	}
	fmt.Fprintf(b, "(%d,%d,'user %x of the shop',%s,%d,%d.%02d,%s,'tag%d,tag%d,regular customer',%.4f,%d,'20%02d-%02d-%02d','2026-%02d-%02d %02d:00:00.%03d')",
		shop, id, r.Uint32(), avatar, r.IntN(100), r.IntN(100_000), r.IntN(100), city, r.IntN(50), r.IntN(50), r.Float64()*1000, r.IntN(2),
		10+r.IntN(16), 1+r.IntN(12), 1+r.IntN(28), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(1000))
}

const wideCount = 200

func wideColumns() []string {
	all := []string{"shop_id", "user_id"}
	for i := len(all); i < wideCount; i++ {
		all = append(all, fmt.Sprintf("c%d", i))
	}
	return all
}

func wideSchema() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE shop_users (shop_id BIGINT NOT NULL, user_id BIGINT NOT NULL, ")
	for i, c := range wideColumns()[2:] {
		fmt.Fprintf(&b, "%s %s, ", c, []string{"INT", "VARCHAR(30)", "DECIMAL(10,2)", "DATETIME"}[i%4])
	}
	b.WriteString("PRIMARY KEY (shop_id, user_id)) CHARACTER SET utf8mb4")
	return b.String()
}

func wideRow(b *strings.Builder, r *rand.Rand, shop, id int) {
	fmt.Fprintf(b, "(%d,%d", shop, id)
	for i := range wideCount - 2 {
		switch i % 4 {
		case 0:
			fmt.Fprintf(b, ",%d", r.IntN(1_000_000))
		case 1:
			fmt.Fprintf(b, ",'text %x'", r.Uint32())
		case 2:
			fmt.Fprintf(b, ",%d.%02d", r.IntN(10_000), r.IntN(100))
		default:
			fmt.Fprintf(b, ",'2026-01-%02d 10:00:00'", 1+r.IntN(28))
		}
	}
	b.WriteByte(')')
}

const largeSchema = `CREATE TABLE shop_users (shop_id BIGINT NOT NULL, user_id BIGINT NOT NULL, document MEDIUMTEXT NOT NULL,
	PRIMARY KEY (shop_id, user_id)) CHARACTER SET utf8mb4`

func largeRow(b *strings.Builder, r *rand.Rand, shop, id int) {
	fmt.Fprintf(b, "(%d,%d,REPEAT('%08x, ',10000))", shop, id, r.Uint32())
}
