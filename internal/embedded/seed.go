package embedded

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

//go:embed schema
var schemas embed.FS

// Dialect names the schema file that Seed uses.
type Dialect string

// Dialects of Seed.
const (
	MySQL  Dialect = "mysql" // and MariaDB
	SQLite Dialect = "sqlite"
)

// Defaults and limits of Options.
const (
	DefaultShops = 10
	DefaultUsers = 100_000
	SmallShops   = 2  // shops beside Options.Shops that are too small to be warmed
	fewestUsers  = 36 // of a shop that is warmed
)

// Options says what Seed makes. The same options make the same rows in both dialects.
type Options struct {
	Shops   int    // key-account shops; 0: DefaultShops
	Users   int    // of all of these together, no fewer than 36 each; 0: DefaultUsers
	Seed    uint64 // of the random numbers
	Dialect Dialect
}

// Shop is a shop that Seed made.
type Shop struct {
	ID    string
	Name  string
	KA    bool // announce it with tier "ka"; the others are small
	Users int  // rows of shop_users, about one in a hundred of them deleted
}

// Seed makes the tables and the shops of the demo in an empty database. The sizes are very unequal: the first shop has
// about 40 % of the users, each further one 60 % of the one before it.
func Seed(ctx context.Context, db *sql.DB, opts Options) ([]Shop, error) {
	if opts.Shops <= 0 {
		opts.Shops = DefaultShops
	}
	if opts.Users <= 0 {
		opts.Users = DefaultUsers
	}
	if err := createTables(ctx, db, opts.Dialect); err != nil {
		return nil, err
	}
	shops := makeShops(opts)
	for i, shop := range shops {
		if err := seedShop(ctx, db, opts.Seed, i, shop); err != nil {
			return nil, fmt.Errorf("seed shop %s: %w", shop.ID, err)
		}
	}
	return shops, nil
}

func createTables(ctx context.Context, db *sql.DB, dialect Dialect) error {
	text, err := schemas.ReadFile("schema/" + string(dialect) + ".sql")
	if err != nil {
		return fmt.Errorf("make the demo's tables: unknown dialect %q", dialect)
	}
	for statement := range strings.SplitSeq(string(text), ";\n") {
		if strings.TrimSpace(statement) == "" {
			continue
		}
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("make the demo's tables: %w", err)
		}
	}
	return nil
}

func makeShops(opts Options) []Shop {
	r := rand.New(rand.NewPCG(opts.Seed, 0))
	var shops []Shop
	for i, users := range sizes(opts.Shops, opts.Users) {
		shops = append(shops, Shop{ID: shopID(i), Name: shopName(i), KA: true, Users: users})
	}
	for i := opts.Shops; i < opts.Shops+SmallShops; i++ {
		shops = append(shops, Shop{ID: shopID(i), Name: shopName(i), Users: 5 + r.IntN(20)})
	}
	return shops
}

// sizes shares users among shops: 40 %, 24 %, 14 % and so on, a few dozen for the last, and what is left over to the first.
func sizes(shops, users int) []int {
	out := make([]int, shops)
	share, rest := 0.4*float64(users), users
	for i := 1; i < shops; i++ {
		share *= 0.6
		out[i] = max(int(share), fewestUsers)
		if i == shops-1 {
			out[i] = fewestUsers
		}
		rest -= out[i]
	}
	out[0] = max(rest, fewestUsers)
	return out
}

func shopID(i int) string { return strconv.Itoa(1001 + i) }

func shopName(i int) string {
	names := [...]string{"Lakeside Living", "Tea & Tonic 🍵", "Nordlicht Möbel", "北京小吃", "Pixel Garage", "Casa Niño",
		"Velvet Row", "Honest Soap", "Trail & Tarn", "Café Zażółć", "Tiny Stall", "Corner Press"}
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("Shop %d", i+1)
}
