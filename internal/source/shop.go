package source

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// maxShop is the greatest number of characters in a text shop id, also where the column could hold more.
const maxShop = 255

var canonicalInt = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,19})$`)

// CheckShop says whether an id can be a shop's at all, without asking the database; if not, the error is a *ShopError.
// An integer must be in its one canonical form and within the column's range: MySQL would read `12abc` as 12.
func (b *Bound) CheckShop(id string) error {
	_, err := b.shopArg(id)
	return err
}

func (b *Bound) shopArg(id string) (any, error) {
	var arg any
	for _, c := range b.shops {
		var reason string
		if arg, reason = shopArg(c, id); reason != "" {
			return nil, &ShopError{Shop: id, Reason: reason}
		}
	}
	return arg, nil
}

// shopArg makes an argument of an id, or says why it cannot be in the column.
func shopArg(c Column, id string) (arg any, reason string) {
	if c.Kind == dataset.KindInt {
		return intArg(c, id)
	}
	limit := int64(maxShop)
	if c.Length > 0 {
		limit = min(limit, c.Length)
	}
	switch {
	case id == "":
		return nil, "is empty"
	case len(id) > maxShop*utf8.UTFMax || int64(utf8.RuneCountInString(id)) > limit:
		return nil, fmt.Sprintf("is longer than %d characters", limit)
	case !utf8.ValidString(id):
		return nil, "is not valid UTF-8"
	case strings.ContainsFunc(id, unicode.IsControl):
		return nil, "contains control characters"
	case strings.TrimSpace(id) != id:
		return nil, "begins or ends with a space"
	case !fits(c.Charset, id):
		return nil, fmt.Sprintf("has characters that column %s (%s) cannot hold", c.Name, c.Charset)
	}
	return id, ""
}

func intArg(c Column, id string) (any, string) {
	if !canonicalInt.MatchString(id) {
		return nil, "is not an integer, and column " + c.Name + " is"
	}
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		if n < c.Min || n > 0 && uint64(n) > c.Max {
			return nil, "is out of the range of column " + c.Name
		}
		return n, ""
	}
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || n > c.Max {
		return nil, "is out of the range of column " + c.Name
	}
	return n, ""
}

// fits says whether MySQL compares the text in the column's character set. If not, it would convert the column instead,
// and read the whole index.
func fits(charset, id string) bool {
	most := rune(unicode.MaxASCII)
	switch charset {
	case "", "utf8mb4", "utf16", "utf16le", "utf32", "gb18030":
		return true
	case "utf8", "utf8mb3", "ucs2":
		most = 0xFFFF
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return r > most })
}

// Has says whether the shop has any row, `where` aside. If the database takes the id for a shop that is spelled in
// another way (ABC and abc are the same in most collations), the error is a *ShopError: a key made of the id would not be
// found by those who spell it as the database does.
func (b *Bound) Has(ctx context.Context, shop string) (bool, error) {
	arg, err := b.shopArg(shop)
	if err != nil {
		return false, err
	}
	if b.spec.Paged() {
		s := b.scan(arg)
		s.Select, s.Limit = []string{b.src.dialect.Quote(b.shop.Name)}, 1
		query, args := b.src.dialect.Scan(s)
		return b.spelled(ctx, shop, query, args)
	}
	if n, err := b.Count(ctx, shop, 1); err != nil || n == 0 {
		return false, err
	}
	for _, query := range b.spellings {
		if _, err := b.spelled(ctx, shop, query, []any{arg}); err != nil {
			return false, err
		}
	}
	return true, nil
}

// spelled reads one shop id as the database has it.
func (b *Bound) spelled(ctx context.Context, shop, query string, args []any) (found bool, err error) {
	rows, err := b.src.db.QueryContext(ctx, query, args...)
	if err != nil {
		return false, b.errorf("look for shop", err)
	}
	defer rows.Close()
	if !rows.Next() {
		return false, b.errorf("look for shop", rows.Err())
	}
	var raw sql.RawBytes
	if err := rows.Scan(&raw); err != nil {
		return false, b.errorf("look for shop", err)
	}
	if b.shops[0].Kind == dataset.KindText && !bytes.Equal(raw, []byte(shop)) {
		return false, &ShopError{Shop: shop, Reason: fmt.Sprintf("is spelled %q in the database", raw)}
	}
	return true, nil
}

// Count counts the shop's rows, `where` aside, but not beyond upTo; 0 counts all. Only the index is read, as Walking says.
func (b *Bound) Count(ctx context.Context, shop string, upTo int64) (int64, error) {
	arg, err := b.shopArg(shop)
	if err != nil {
		return 0, err
	}
	if b.spec.Paged() {
		return b.count(ctx, arg, upTo)
	}
	var n int64
	err = b.ReadAll(ctx, shop, func([]sql.RawBytes) (bool, error) {
		n++
		return upTo == 0 || n < upTo, nil
	})
	return n, err
}

// Estimate is about how many rows a shop has, `where` aside: what the database's optimizer thinks, mostly within a factor
// of two, at the price of an EXPLAIN. A database that does not say is made to count.
func (b *Bound) Estimate(ctx context.Context, shop string) (int64, error) {
	arg, err := b.shopArg(shop)
	if err != nil || !b.spec.Paged() {
		return 0, err
	}
	s := b.scan(arg)
	s.Select = []string{"1"}
	plan, err := b.src.dialect.Explain(ctx, b.src.db, s)
	if err != nil {
		return 0, b.errorf("estimate rows", err)
	}
	if plan.Empty || plan.Rows > 0 {
		return plan.Rows, nil
	}
	return b.count(ctx, arg, 0)
}
