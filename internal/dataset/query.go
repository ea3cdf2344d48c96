package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Query is a query form's SQL, read as far as prewarm needs to: where `:shop` stands, what it is compared with, and
// which tables may tell more about the columns.
type Query struct {
	Shops   int         // how often :shop occurs
	Tables  []TableRef  // named after FROM and JOIN, names of common table expressions included
	ShopIsA []ColumnRef // what :shop is compared with, as far as that is a column

	pieces []string // the SQL between the :shops
}

// TableRef is a table as a query names it.
type TableRef struct {
	Schema string
	Name   string
	Alias  string // what columns are qualified with; the name if there is no alias
}

// ColumnRef is a column as a query names it.
type ColumnRef struct {
	Table string // alias or name; may be empty
	Name  string
}

// With is the SQL with an expression in place of every :shop.
func (q *Query) With(expression string) string { return strings.Join(q.pieces, expression) }

// ParseQuery reads a query form's SQL. It is not checked any further than that it is one SELECT that uses :shop; the
// database does the rest.
func ParseQuery(sql string) (*Query, error) {
	tokens, err := lex(sql)
	if err != nil {
		return nil, err
	}
	if err := oneSelect(tokens); err != nil {
		return nil, err
	}
	q := &Query{Tables: tablesIn(tokens)}
	from := 0
	for i, t := range tokens {
		if t.kind != tokenParam {
			continue
		}
		if t.text != shopName {
			return nil, fmt.Errorf(":%s is not known; only :%s is", t.text, shopName)
		}
		q.Shops++
		q.pieces = append(q.pieces, sql[from:t.from])
		from = t.to
		if c, ok := comparedWith(tokens, i); ok {
			q.ShopIsA = append(q.ShopIsA, c)
		}
	}
	if q.Shops == 0 {
		return nil, errors.New("does not use :shop")
	}
	q.pieces = append(q.pieces, sql[from:])
	return q, nil
}

// ShopIs says whether the result's column of a name is the one that :shop is compared with, and so says the shop's id in each row: the
// query reads one table, and selects the column as it is.
func (q *Query) ShopIs(name string) bool {
	tokens, err := lex(strings.Join(q.pieces, ":"+shopName))
	if err != nil || len(q.Tables) != 1 || len(tokens) == 0 || !tokens[0].word("select") {
		return false
	}
	compared := slices.ContainsFunc(q.ShopIsA, func(c ColumnRef) bool { return strings.EqualFold(c.Name, name) })
	for i := 1; i < len(tokens); i++ {
		t := tokens[i]
		if t.word("from") {
			return false // it was not selected
		}
		if !t.name() || !strings.EqualFold(t.text, name) {
			continue
		}
		before, after := tokens[i-1], tokens[min(i+1, len(tokens)-1)]
		plain := (before.word("select") || before.is(",") || before.is(".")) && (after.is(",") || after.word("from"))
		return compared && plain && !several(tokens)
	}
	return false
}

// several says whether rows may come in that the comparison does not hold for.
func several(tokens []token) bool {
	return slices.ContainsFunc(tokens, func(t token) bool { return t.word("union") || t.word("except") || t.word("intersect") || t.word("or") })
}

func oneSelect(tokens []token) error {
	first := 0
	for first < len(tokens) && tokens[first].is("(") {
		first++
	}
	if first == len(tokens) || !tokens[first].word("select") && !tokens[first].word("with") {
		return errors.New("is not a SELECT")
	}
	for i, t := range tokens {
		switch {
		case t.is(";"):
			return errors.New("contains a `;`; it must be one statement, without it")
		case t.word("into"):
			return errors.New("contains INTO; it must only read")
		case (t.word("update") || t.word("share")) && i > 0 && tokens[i-1].word("for"),
			t.word("lock") && i+1 < len(tokens) && tokens[i+1].word("in"):
			return errors.New("takes locks; leave out FOR UPDATE, FOR SHARE and LOCK IN SHARE MODE")
		}
	}
	return nil
}

// notAlias are the words that may follow a table's name without being its alias.
var notAlias = map[string]bool{
	"as": true, "on": true, "using": true, "where": true, "join": true, "inner": true, "left": true, "right": true,
	"cross": true, "natural": true, "straight_join": true, "outer": true, "group": true, "order": true, "having": true,
	"limit": true, "union": true, "except": true, "intersect": true, "force": true, "use": true, "ignore": true,
	"partition": true, "window": true, "for": true, "set": true, "full": true,
}

// tablesIn finds the tables after FROM and JOIN, and after the commas of a FROM.
func tablesIn(tokens []token) []TableRef {
	var refs []TableRef
	for i := 0; i < len(tokens); i++ {
		from := tokens[i].word("from")
		if !from && !tokens[i].word("join") && !tokens[i].word("straight_join") {
			continue
		}
		for {
			ref, n := tableAt(tokens[i+1:])
			if n == 0 {
				break
			}
			refs = append(refs, ref)
			i += n
			if !from || i+1 >= len(tokens) || !tokens[i+1].is(",") {
				break
			}
			i++
		}
	}
	return refs
}

// tableAt reads a table and its alias; n is the number of tokens it took, 0 if there is none.
func tableAt(tokens []token) (ref TableRef, n int) {
	if len(tokens) == 0 || !tokens[0].name() {
		return TableRef{}, 0
	}
	ref.Name, n = tokens[0].text, 1
	if len(tokens) >= 3 && tokens[1].is(".") && tokens[2].name() {
		ref.Schema, ref.Name, n = ref.Name, tokens[2].text, 3
	}
	ref.Alias = ref.Name
	if n < len(tokens) && tokens[n].word("as") {
		n++
	}
	if n < len(tokens) && tokens[n].name() && !notAlias[strings.ToLower(tokens[n].text)] {
		ref.Alias = tokens[n].text
		n++
	}
	return ref, n
}

// comparedWith finds the column that the :shop at i is compared with: `column = :shop`, `column IN (:shop`, and the
// other way round.
func comparedWith(tokens []token, i int) (ColumnRef, bool) {
	before := tokens[:i]
	if n := len(before); n >= 2 && before[n-1].is("(") && before[n-2].word("in") {
		return columnBefore(before[:n-2])
	}
	if n := len(before); n >= 1 && isEqual(before[n-1]) {
		return columnBefore(before[:n-1])
	}
	after := tokens[i+1:]
	if len(after) < 2 || !isEqual(after[0]) {
		return ColumnRef{}, false
	}
	return columnAfter(after[1:])
}

func isEqual(t token) bool { return t.is("=") || t.is("<=>") }

func columnBefore(tokens []token) (ColumnRef, bool) {
	n := len(tokens)
	if n == 0 || !tokens[n-1].name() {
		return ColumnRef{}, false
	}
	c := ColumnRef{Name: tokens[n-1].text}
	if n >= 3 && tokens[n-2].is(".") && tokens[n-3].name() {
		c.Table = tokens[n-3].text
	}
	return c, true
}

func columnAfter(tokens []token) (ColumnRef, bool) {
	var parts []string
	i := 0
	for ; i < len(tokens) && tokens[i].name(); i += 2 {
		parts = append(parts, tokens[i].text)
		if i+1 >= len(tokens) || !tokens[i+1].is(".") {
			i++
			break
		}
	}
	if len(parts) == 0 || i < len(tokens) && tokens[i].is("(") {
		return ColumnRef{}, false // nothing, or a function
	}
	c := ColumnRef{Name: parts[len(parts)-1]}
	if len(parts) > 1 {
		c.Table = parts[len(parts)-2]
	}
	return c, true
}

// checkCondition checks that a `where` can be put in parentheses and stays inside of them.
func checkCondition(sql string) error {
	tokens, err := lex(sql)
	if err != nil {
		return err
	}
	depth := 0
	for _, t := range tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case t.is(";"):
			return errors.New("contains a `;`")
		case t.kind == tokenParam:
			return fmt.Errorf("contains :%s; the rows of the shop are selected by `shop` already", t.text)
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 {
		return errors.New("has parentheses that do not match")
	}
	if len(tokens) == 0 {
		return errors.New("is empty")
	}
	return nil
}
