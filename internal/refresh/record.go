package refresh

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/prewarm-go/prewarm/internal/change"
)

// notKept stands in the record of changes for what must not be told.
const notKept = "(not kept)"

// secrecy is what of a change's rows must not be recorded.
type secrecy struct {
	all     bool
	columns map[string]bool // in small letters
}

// secrecyOf is pure. A column that any dataset protects is not recorded of any. What a query calls its columns need not be what
// the table calls them, so of what may be a row of its tables no value is kept; nor of a change that belongs to no dataset, whose
// name may be misspelt.
func secrecyOf(datasets []Dataset, c change.Change) secrecy {
	s := secrecy{columns: map[string]bool{}}
	known := false
	for _, d := range datasets {
		known = known || concerns(d, c)
		names := d.Spec().Protected()
		for _, name := range names {
			s.columns[strings.ToLower(name)] = true
		}
		byQuery := len(names) > 0 && !d.Spec().Paged()
		s.all = s.all || byQuery && (c.Dataset != "" || concerns(d, c))
	}
	s.all = s.all || len(s.columns) > 0 && !known
	return s
}

// told is what of a row is kept in the record of changes.
func (s secrecy) told(r change.Row) string {
	if r == nil {
		return ""
	}
	kept, hidden := make(change.Row, len(r)), notKept
	for column, value := range r {
		if s.all || s.columns[strings.ToLower(column)] {
			value = &hidden
		}
		kept[column] = value
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(text)
}
