// Package propose makes datasets of a schema that it has never seen: it guesses which column says whose a row is, which
// tables are big, and by what they can be paged. It is pure. What it proposes is a start for people to read and correct;
// whether the database agrees is for source.Bind to say.
package propose

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/source"
)

// ErrNoShop: no column looks as if it said which shop a row belongs to.
var ErrNoShop = errors.New("no column was found that says which shop a row belongs to; name it with --shop-column")

// Owners says which column of each table holds the shop.
type Owners struct {
	Column string            // the name that most tables call it
	Root   string            // the table with one row per shop; "" if none was found
	Of     map[string]string // by table: its column
	Why    string
}

// shopWords are what shops are called; their names count for more than others.
var shopWords = regexp.MustCompile(`^(shop|store|merchant|seller|vendor|tenant|anchor|streamer|room|channel|mall|supplier|brand|account|company|org|organization)(id|no|code|ref|key|uid)?$`)

// votes is how a column's name did.
type votes struct {
	name          string // as it was met first
	tables, leads int    // tables that have it; tables of which it leads an index
	refers        map[string]int
}

// FindOwners finds the shop's column in all tables. named is the column that the operator names; "" lets the tables vote.
func FindOwners(tables []source.Listed, named string) (Owners, error) {
	all := count(tables)
	chosen := all[plain(named)]
	if named == "" {
		chosen = elect(all)
	}
	switch {
	case chosen == nil && named != "":
		return Owners{}, fmt.Errorf("no table has a column %s that could hold a shop's id: an integer, CHAR or VARCHAR; name another with --shop-column", named)
	case chosen == nil:
		return Owners{}, ErrNoShop
	}
	o := Owners{Column: chosen.name, Of: map[string]string{}}
	o.Root = root(tables, chosen)
	for _, t := range tables {
		if column := o.columnOf(t); column != "" {
			o.Of[t.Name] = column
		}
	}
	o.Why = fmt.Sprintf("%d of %d tables have it, and it leads an index of %d", chosen.tables, len(tables), chosen.leads)
	if o.Root != "" {
		o.Why += "; its table is " + o.Root
	}
	return o, nil
}

func count(tables []source.Listed) map[string]*votes {
	all := map[string]*votes{}
	for _, t := range tables {
		if t.View {
			continue
		}
		for _, c := range t.Columns {
			if !canOwn(c) || strings.EqualFold(c.Name, "id") {
				continue
			}
			v := all[plain(c.Name)]
			if v == nil {
				v = &votes{name: c.Name, refers: map[string]int{}}
				all[plain(c.Name)] = v
			}
			v.tables++
			if leads(t, c.Name) {
				v.leads++
			}
			if to := t.Refers[c.Name]; to != "" {
				v.refers[to]++
			}
		}
	}
	return all
}

// elect takes the column that leads the most indexes; a name that shops often have counts three times. A name that one
// table alone has must be such a name.
func elect(all map[string]*votes) *votes {
	var best *votes
	for _, name := range slices.Sorted(maps.Keys(all)) {
		v := all[name]
		if v.tables < 2 && !shopWords.MatchString(name) || v.leads == 0 {
			continue
		}
		if best == nil || v.score() > best.score() {
			best = v
		}
	}
	return best
}

func (v *votes) score() int {
	s := 2*v.leads + v.tables
	for _, n := range v.refers {
		s += n
	}
	if shopWords.MatchString(plain(v.name)) {
		s *= 3
	}
	return s
}

// root is the table that the column refers to, or that is called like it.
func root(tables []source.Listed, v *votes) string {
	if len(v.refers) > 0 {
		names := slices.Sorted(maps.Keys(v.refers))
		return slices.MaxFunc(names, func(a, b string) int { return cmp.Compare(v.refers[a], v.refers[b]) })
	}
	stem := shopWords.ReplaceAllString(plain(v.name), "$1")
	for _, suffix := range []string{"id", "no", "code", "ref", "key", "uid"} {
		stem = strings.TrimSuffix(stem, suffix)
	}
	for _, t := range tables {
		if one := plain(t.Name); !t.View && (one == stem || one == stem+"s") && soleKey(t) != "" {
			return t.Name
		}
	}
	return ""
}

// columnOf is the shop's column of a table: the root's key, a foreign key to the root, or the column of the elected name.
func (o Owners) columnOf(t source.Listed) string {
	if t.Name == o.Root {
		return soleKey(t)
	}
	var refers, called string
	for _, c := range t.Columns {
		switch {
		case !canOwn(c):
		case o.Root != "" && t.Refers[c.Name] == o.Root:
			refers = cmp.Or(refers, c.Name)
		case plain(c.Name) == plain(o.Column):
			called = c.Name
		}
	}
	return cmp.Or(refers, called)
}

// soleKey is the one column of a table's primary key.
func soleKey(t source.Listed) string {
	for _, i := range t.Indexes {
		if i.Name == "PRIMARY" && len(i.Key) == 1 {
			return i.Key[0]
		}
	}
	return ""
}

func leads(t source.Listed, column string) bool {
	return slices.ContainsFunc(t.Indexes, func(i source.Index) bool { return len(i.Order) > 0 && strings.EqualFold(i.Order[0], column) })
}

func canOwn(c source.Column) bool {
	return c.Sortable && (c.Kind == dataset.KindInt || c.Kind == dataset.KindText)
}

// plain is a name without what people write differently.
func plain(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}
