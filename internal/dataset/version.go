package dataset

import (
	"database/sql"
	"slices"
	"strings"
)

// Values of Spec.Write: what is done with a key that is there already.
const (
	WriteAlways  = "always"  // it is overwritten
	WriteNewer   = "newer"   // it is overwritten unless it holds a newer version of the row
	WriteMissing = "missing" // it is left alone, as the application's
)

// Orders in which versions are compared.
const (
	OrderNumber = "number" // integers and decimals of any size
	OrderTime   = "time"   // dates, with or without the time of day and any fraction of a second
	OrderText   = "text"   // byte by byte
)

// Version is how the newer of two versions of a row is told. The column is part of the value, so that what is cached
// tells its own version.
type Version struct {
	Column string
	Order  string
}

// versionColumn is the declared column, and the field that declares it.
func (s Spec) versionColumn() (field, column string) {
	if s.Version == "" && s.ChangedAt != "" {
		return "changed_at", s.ChangedAt
	}
	return "version", s.Version
}

// write checks `write` and `version`.
func (v *validator) write() {
	s := v.spec
	switch s.Write {
	case "", WriteAlways, WriteMissing:
		if s.Version != "" {
			v.add("version", "leave it out, or set write: newer", "is for write: newer only")
		}
		return
	case WriteNewer:
	default:
		v.add("write", "use always, newer or missing", "%q is not known", s.Write)
		return
	}
	if s.collected() {
		v.add("write", "use always or missing", "newer compares row by row, and here all rows are under one key")
	}
	field, column := s.versionColumn()
	switch {
	case column == "":
		v.add("version", "name a column that grows with every change of a row, such as updated_at", "is missing, and so is changed_at")
	case s.Version != "" && !plainName.MatchString(column):
		v.names("version", []string{column})
	case s.Table != "" && !slices.Contains(s.Columns, column):
		v.add(field, "add it to columns, because the cached value must tell its version", "names %s, which is not among columns", column)
	}
}

// collected says whether all rows of a shop become one value.
func (s Spec) collected() bool {
	pieces, err := parseTemplate(s.Key)
	return s.WrittenAs() == ValueJSONArray || s.WrittenAs() == ValueHash && err == nil && len(columnsOf(pieces)) == 0
}

// orderOf is how the versions in a column are compared, or why they cannot be.
func orderOf(c Column) (order, reason string) {
	declared := strings.ToLower(c.Type)
	switch c.Kind {
	case KindInt, KindDecimal:
		return OrderNumber, ""
	case KindTime:
		if strings.HasPrefix(declared, "time") && !strings.HasPrefix(declared, "timestamp") {
			return "", "and begins again every day"
		}
		return OrderTime, ""
	case KindText:
		if strings.HasPrefix(declared, "enum") || strings.HasPrefix(declared, "set") {
			return "", "whose order is not that of its text"
		}
		return OrderText, ""
	case KindFloat:
		return "", "which is not exact"
	default:
		return "", "which has no order"
	}
}

// findVersion finds the column of `write: newer` among the visible ones.
func (e *Encoder) findVersion() error {
	e.version = -1
	if e.spec.Write != WriteNewer {
		return nil
	}
	field, name := e.spec.versionColumn()
	e.version = slices.Index(e.Columns(), name)
	if e.version < 0 {
		return e.spec.Err(field, "name one of "+strings.Join(e.Columns(), ", "), "there is no column %s", name)
	}
	c := e.cols[e.version]
	order, reason := orderOf(c)
	if reason != "" {
		return e.spec.Err(field, "use an integer, DECIMAL, DATE, DATETIME, TIMESTAMP or VARCHAR column",
			"column %s is %s, %s", name, c.Type, reason)
	}
	e.order = order
	return nil
}

// Write is the declaration's, with its default.
func (e *Encoder) Write() string {
	if e.spec.Write == "" {
		return WriteAlways
	}
	return e.spec.Write
}

// Version is how rows are compared; zero if they are not.
func (e *Encoder) Version() Version {
	if e.version < 0 {
		return Version{}
	}
	return Version{Column: e.cols[e.version].Name, Order: e.order}
}

// AppendVersion appends the row's version as it stands in the value; nothing for NULL, which is no version.
func (e *Encoder) AppendVersion(dst []byte, row []sql.RawBytes) ([]byte, error) {
	dst, _, err := e.AppendText(dst, e.version, row)
	return dst, err
}
