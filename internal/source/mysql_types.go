package source

import (
	"math"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// typeOf fills in what the name of a type says: information_schema's DATA_TYPE, or the driver's name of a result's type.
func (c *Column) typeOf(name string, unsigned bool) {
	name = strings.ToLower(name)
	switch name {
	case "tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year":
		c.Kind, c.Sortable = dataset.KindInt, true
		c.Min, c.Max = intRange(name, unsigned)
	case "float", "double":
		c.Kind = dataset.KindFloat
	case "decimal":
		c.Kind, c.Sortable = dataset.KindDecimal, true
	case "date", "time", "datetime", "timestamp":
		c.Kind, c.Sortable = dataset.KindTime, true
	case "json":
		c.Kind = dataset.KindJSON
	case "bit":
		c.Kind = dataset.KindBit
	case "binary", "varbinary":
		c.Kind, c.Sortable = dataset.KindBinary, true
	case "tinyblob", "blob", "mediumblob", "longblob", "vector", "geometry", "point", "linestring", "polygon",
		"multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection":
		c.Kind = dataset.KindBinary
	case "char", "varchar":
		c.Kind, c.Sortable = dataset.KindText, true
	default: // TEXT, ENUM, SET, UUID, INET6 and what is to come
		c.Kind = dataset.KindText
	}
}

func intRange(name string, unsigned bool) (least int64, greatest uint64) {
	bits := map[string]uint{"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32, "bigint": 64}[name]
	switch {
	case name == "year":
		return 0, 2155
	case unsigned:
		return 0, math.MaxUint64 >> (64 - bits)
	}
	greatest = math.MaxUint64 >> (65 - bits)
	return -int64(greatest) - 1, greatest
}
