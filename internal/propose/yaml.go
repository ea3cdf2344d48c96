package propose

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// File is a prewarm.yaml to be written.
type File struct {
	Queue, Cache   string   // URLs
	Ledger, Source string   // DSNs, with references to the environment instead of passwords
	Passwords      []string // names of the variables that hold the passwords
	Owners         Owners
	Datasets       []Dataset
	LeftOut        []LeftOut
}

// YAML is the file with comments.
func (f File) YAML() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# prewarm.yaml, proposed by "prewarm init" from the tables of the database, and checked against it. Read it before you use it:
# which columns the cache holds and what its keys are called is yours to decide. "prewarm help configuration" lists every field.
#
# ${NAME} is a variable of the environment. Passwords are in: %s.

queue: {url: %s}   # tasks, leases, flags; its maxmemory-policy must be noeviction
cache: {url: %s}   # what is warmed
ledger:
  dsn: %s   # a schema of prewarm's own
sources:
  main:
    dsn: %s   # read only; SELECT is enough

# policy.warm_when.min_rows: shops with fewer rows are skipped, unless their tier is ka. 0 warms all.
policy:
  warm_when: {min_rows: 5000}

# The shop's column is %s: %s.
datasets:
`, strings.Join(f.Passwords, ", "), strconv.Quote(f.Queue), strconv.Quote(f.Cache), strconv.Quote(f.Ledger), strconv.Quote(f.Source), f.Owners.Column, f.Owners.Why)
	for _, d := range f.Datasets {
		d.write(&b)
	}
	if len(f.LeftOut) > 0 {
		b.WriteString("\n# Left out:\n")
	}
	for _, l := range f.LeftOut {
		text := "# - " + l.Table + " " + l.Why
		if l.Remedy != "" {
			text += "; " + l.Remedy
		}
		b.WriteString(oneLine(text) + "\n")
	}
	return b.String()
}

func (d Dataset) write(b *strings.Builder) {
	s := d.Spec
	fmt.Fprintf(b, "  - name: %s   # %d rows\n", s.Name, d.Rows)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "    %s: %s\n", name, value)
		}
	}
	field("query", scalar(s.Query))
	field("table", scalar(s.Table))
	field("shop", scalar(s.Shop))
	field("by", list(s.By))
	field("columns", list(s.Columns))
	field("where", scalar(s.Where))
	field("key", scalar(s.Key))
	switch s.Value {
	case dataset.ValueJSONArray:
		field("value", s.Value+"   # all rows of a shop under one key")
	default:
		field("value", s.Value)
	}
	field("changed_at", scalar(s.ChangedAt))
	if len(d.Withheld) > 0 {
		fmt.Fprintf(b, "    # left out, add them if the cache may hold them: %s\n", oneLine(strings.Join(d.Withheld, ", ")))
	}
	if len(d.Personal) > 0 {
		fmt.Fprintf(b, "    # drop: %s   # if the cache may not hold them; see mask and hash too\n", oneLine(list(d.Personal)))
	}
	if d.Note != "" {
		fmt.Fprintf(b, "    # %s\n", oneLine(d.Note))
	}
}

var (
	plainScalar = regexp.MustCompile("^[A-Za-z][A-Za-z0-9_ .,/(){}*=`+@$?&-]*(:[A-Za-z0-9{/$][A-Za-z0-9_ .,/(){}*=`+@$?&-]*)*$")
	plainItem   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	keywords    = []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
)

// scalar is a text as YAML writes it, quoted where it must be.
func scalar(s string) string {
	if s == "" {
		return ""
	}
	s = escape(s)
	if plainScalar.MatchString(s) && strings.TrimSpace(s) == s && !keyword(s) {
		return s
	}
	return strconv.Quote(s)
}

// escape keeps what looks like a variable of the environment from being one.
func escape(s string) string { return strings.ReplaceAll(s, "${", "$${") }

func keyword(s string) bool { return slices.Contains(keywords, strings.ToLower(s)) }

// Width of a line of columns.
const lineWidth = 110

func list(names []string) string {
	if len(names) == 0 {
		return ""
	}
	var b strings.Builder
	width := 0
	for i, n := range names {
		if n = escape(n); !plainItem.MatchString(n) || keyword(n) {
			n = strconv.Quote(n)
		}
		if i > 0 {
			b.WriteString(",")
			if width += 2; width > lineWidth {
				b.WriteString("\n     ")
				width = 0
			}
			b.WriteString(" ")
		}
		b.WriteString(n)
		width += len(n)
	}
	return "[" + b.String() + "]"
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
