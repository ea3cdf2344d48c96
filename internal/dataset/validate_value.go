package dataset

import "slices"

func (v *validator) value() {
	s := v.spec
	pieces, err := parseTemplate(s.Key)
	switch {
	case s.Key == "":
		v.add("key", "write one such as "+v.example(), "is missing")
		return
	case err != nil:
		v.add("key", "write one such as "+v.example(), "%v", err)
		return
	}
	v.key(pieces)
	inKey := len(columnsOf(pieces)) > 0
	switch s.WrittenAs() {
	case ValueJSON:
	case ValueJSONArray:
		if s.Table != "" {
			v.add("value", "use json or hash, with the `by` columns in the key", "json_array is for the query form only")
		} else if inKey {
			v.add("key", "leave the columns out, or use value json or hash", "has columns, but json_array puts all rows under one key")
		}
	case ValueHash:
		v.field(inKey)
		return
	default:
		v.add("value", "use json, json_array or hash", "%q is not known", s.Value)
	}
	if s.Field != "" {
		v.add("field", "leave it out, or use value hash", "is for hashes only")
	}
}

func (v *validator) key(pieces []piece) {
	s := v.spec
	if two, ok := touching(pieces); ok {
		v.add("key", "put a character such as : between them", "%s can make the same key from different values", two)
	}
	names := columnsOf(pieces)
	if len(names) == 0 && !slices.Contains(pieces, piece{name: shopName}) {
		v.add("key", "add {shop}", "is the same for every shop")
	}
	if s.Table == "" {
		return
	}
	for _, c := range s.By {
		if !slices.Contains(names, c) {
			v.add("key", "add {"+c+"}", "lacks {%s}, so rows would overwrite each other", c)
		}
	}
	v.among("key", names)
}

// among checks that a table form's template uses columns that are read.
func (v *validator) among(field string, names []string) {
	s := v.spec
	for _, n := range names {
		if s.Table != "" && !slices.Contains(s.Columns, n) && !slices.Contains(s.By, n) {
			v.add(field, "add it to columns", "uses {%s}, which is not among columns", n)
		}
	}
}

func (v *validator) field(inKey bool) {
	s := v.spec
	if inKey {
		if s.Field != "" {
			v.add("field", "leave it out, or leave the columns out of the key", "is for one hash of all rows; the key has columns, so each row is a hash of its own")
		}
		return
	}
	pieces, err := parseTemplate(s.Field)
	names := columnsOf(pieces)
	switch {
	case s.Table != "": // the key has been found to lack the `by` columns
	case s.Field == "":
		v.add("field", `write one such as "{id}", or put a column into the key`, "is missing: all rows go into one hash")
	case err != nil:
		v.add("field", `write one such as "{id}"`, "%v", err)
	case len(names) == 0:
		v.add("field", `write one such as "{id}"`, "has no column, so rows would overwrite each other")
	default:
		if two, ok := touching(pieces); ok {
			v.add("field", "put a character such as : between them", "%s can make the same field from different values", two)
		}
	}
}

// example is a key that would be right, for messages.
func (v *validator) example() string {
	s := v.spec
	key := s.Name + ":{shop}"
	for _, c := range s.By {
		key += ":{" + c + "}"
	}
	return key
}
