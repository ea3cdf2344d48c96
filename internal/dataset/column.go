package dataset

// Kind is how a column's values are encoded. ENCODING.md lists which types of MySQL belong to which kind.
type Kind int

// Kinds of columns. The text a value is handed in as is always the database's own text form of it, except for
// KindBinary and KindBit, which are the raw bytes.
const (
	KindText    Kind = iota // UTF-8 text; JSON string
	KindInt                 // integer of any size and sign; JSON number, exact
	KindFloat               // binary floating point; JSON number, the shortest that reads back as the same value
	KindDecimal             // exact decimal; JSON string, because a JSON number would be read as a float
	KindTime                // date, time of day, or both; JSON string in the database's text form
	KindJSON                // a JSON document; nested as it stands
	KindBinary              // bytes; JSON string in standard base64
	KindBit                 // BIT(n), big-endian bytes; JSON number
)

// String is the kind's name in messages.
func (k Kind) String() string {
	names := [...]string{"text", "integer", "float", "decimal", "time", "JSON", "binary", "bit"}
	if k < 0 || int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

// Column is one column of a dataset's rows, as the database describes it.
type Column struct {
	Name     string
	Kind     Kind
	Nullable bool
	Type     string // the database's name of the type, for messages
}
