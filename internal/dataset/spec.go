// Package dataset owns what a dataset is: its declaration, its key template, and the encoding of a row into a key and a
// value. It is pure: the database's answers (columns, types) are handed in, and nothing here does input or output.
//
// ENCODING.md says how each type of MySQL is written.
package dataset

// Values that a dataset can be written as.
const (
	ValueJSON      = "json"       // one row, one key, a JSON object
	ValueJSONArray = "json_array" // all rows of the shop under one key, an array of objects
	ValueHash      = "hash"       // with a column in the key: a hash per row, a field per column; without: one hash, a field per row
)

// Values of Spec.ShopType.
const (
	ShopInteger = "integer"
	ShopText    = "text"
)

// Values of Spec.Order.
const (
	OrderOldest = "oldest" // the least values of `by` first
	OrderNewest = "newest" // the greatest first
)

// Spec declares a dataset. It has one of two forms: the query form (Query) for small data that is read and written in
// one go, and the table form (Table, Shop, By, Columns) for big data that is split into ranges and read in pages.
type Spec struct {
	Name   string `yaml:"name"`
	Source string `yaml:"source,omitempty"` // a name under `sources`; empty: the only one, or "main"

	Cache string `yaml:"cache,omitempty"` // a name under `caches`, where no rule of `placement` says another; empty: the only one, or "main"

	// Query form. `:shop` stands for the shop id.
	Query string `yaml:"query,omitempty"`

	// Table form.
	Table   string   `yaml:"table,omitempty"`   // `table` or `schema.table`
	Shop    string   `yaml:"shop,omitempty"`    // the column with the shop's id
	By      []string `yaml:"by,omitempty"`      // unique within a shop; an index must begin with Shop and these
	Columns []string `yaml:"columns,omitempty"` // what the value holds, in this order
	Where   string   `yaml:"where,omitempty"`   // rows that are cached; empty: all
	Order   string   `yaml:"order,omitempty"`   // which units are loaded first: OrderOldest (default), OrderNewest

	Window *Window `yaml:"window,omitempty"` // how far back the rows go that are cached; nil: all the way

	Key   string `yaml:"key"`             // {shop}, {column}; {{ and }} are literal braces
	Value string `yaml:"value,omitempty"` // ValueJSON (default), ValueJSONArray, ValueHash
	Field string `yaml:"field,omitempty"` // ValueHash with all rows under one key: the field's template

	ChangedAt string   `yaml:"changed_at,omitempty"` // column that holds when the row changed
	Refresh   *Refresh `yaml:"refresh,omitempty"`    // how often changed rows are looked for; needs ChangedAt in the table form
	Write     string   `yaml:"write,omitempty"`      // WriteAlways (default), WriteNewer, WriteMissing
	Version   string   `yaml:"version,omitempty"`    // WriteNewer: column that grows with every change of the row; default: ChangedAt

	// Columns that must not be cached as they are; see protect.go.
	Drop    []string          `yaml:"drop,omitempty"` // are not written; in the table form also such as are not among Columns
	Mask    map[string]string `yaml:"mask,omitempty"` // a text is written instead, also of NULL
	Hash    []string          `yaml:"hash,omitempty"` // HMAC-SHA256 of the text form, in hexadecimal digits; NULL stays NULL
	HashKey string            `yaml:"-"`              // the secret of Hash, from policy.hash_key

	// For what the database does not tell.
	ShopType string   `yaml:"shop_type,omitempty"` // query form: ShopInteger or ShopText, the type `:shop` is compared with
	JSON     []string `yaml:"json,omitempty"`      // text columns that hold JSON documents and are nested as such
}

// Paged says whether the dataset is read in pages (table form).
func (s Spec) Paged() bool { return s.Table != "" }
