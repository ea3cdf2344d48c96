package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Limits of what a file may ask of the decoder; anchors can be made to grow without end.
const (
	maxDepth = 32
	maxNodes = 100_000
)

var durationType = reflect.TypeFor[time.Duration]()

// decoder puts a YAML document into a struct that already holds the defaults. It reports every problem with its line and
// the field's path, and quotes no value: the library's own decoder stops at the first problem, shows the lines around it
// (passwords included), and takes 1.9 for the whole number 1.
type decoder struct {
	problems
	env     map[string]string
	anchors map[string]ast.Node
	lines   map[string]int // of the fields
	depth   int
	nodes   int
}

// Visit remembers the anchors that aliases will ask for.
func (d *decoder) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		d.anchors[a.Name.String()] = a.Value
	}
	return d
}

// value puts node into dst. What is null or absent keeps the default.
func (d *decoder) value(dst reflect.Value, node ast.Node, field string) {
	d.depth++
	defer func() { d.depth-- }()
	if d.nodes++; d.depth > maxDepth || d.nodes > maxNodes {
		if d.nodes <= maxNodes+1 {
			d.at(lineOf(node), field, "nested too deeply or too large", "")
		}
		return
	}
	node = d.resolve(node, field)
	if node == nil {
		return
	}
	d.lines[field] = lineOf(node)
	switch {
	case dst.Kind() == reflect.Pointer:
		fresh := reflect.New(dst.Type().Elem())
		if !dst.IsNil() {
			fresh.Elem().Set(dst.Elem())
		}
		d.value(fresh.Elem(), node, field)
		dst.Set(fresh)
	case dst.Kind() == reflect.Struct:
		d.fields(dst, node, field)
	case dst.Kind() == reflect.Map:
		d.entries(dst, node, field)
	case dst.Kind() == reflect.Slice:
		d.items(dst, node, field)
	default:
		d.scalar(dst, node, field)
	}
}

// resolve follows anchors, aliases and tags to the node that holds the value; nil for null.
func (d *decoder) resolve(node ast.Node, field string) ast.Node {
	for range maxDepth {
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.TagNode:
			node = n.Value
		case *ast.AliasNode:
			target, ok := d.anchors[n.Value.String()]
			if !ok {
				d.at(lineOf(n), field, "alias of an anchor that does not exist", "")
				return nil
			}
			node = target
		case nil, *ast.NullNode:
			return nil
		default:
			return node
		}
	}
	d.at(lineOf(node), field, "alias of itself", "")
	return nil
}

// pairs is a mapping's entries, those merged with `<<` first so that the mapping's own win.
func (d *decoder) pairs(node ast.Node, field string) (merged, own []*ast.MappingValueNode, ok bool) {
	m, ok := node.(ast.MapNode)
	if !ok {
		d.at(lineOf(node), field, "must be a mapping (name: value), not "+kindOf(node), "")
		return nil, nil, false
	}
	for it := m.MapRange(); it.Next(); {
		if it.Key().IsMergeKey() {
			merged = append(merged, it.KeyValue())
		} else {
			own = append(own, it.KeyValue())
		}
	}
	return merged, own, true
}

func (d *decoder) fields(dst reflect.Value, node ast.Node, field string) {
	merged, own, _ := d.pairs(node, field)
	for _, m := range merged {
		d.value(dst, m.Value, field)
	}
	for _, kv := range own {
		key := keyOf(kv)
		f, ok := fieldNamed(dst, key)
		if !ok {
			known := slices.DeleteFunc(fieldNames(dst.Type()), func(name string) bool { return name == unnamed })
			d.at(lineOf(kv.Key), join(field, key), "unknown field", suggest(key, known))
			continue
		}
		d.value(f, kv.Value, join(field, key))
	}
}

func (d *decoder) entries(dst reflect.Value, node ast.Node, field string) {
	merged, own, ok := d.pairs(node, field)
	if ok && dst.IsNil() {
		dst.Set(reflect.MakeMap(dst.Type()))
	}
	for _, m := range merged {
		d.value(dst, m.Value, field)
	}
	for _, kv := range own {
		entry := reflect.New(dst.Type().Elem()).Elem()
		d.value(entry, kv.Value, join(field, keyOf(kv)))
		dst.SetMapIndex(reflect.ValueOf(keyOf(kv)), entry)
	}
}

func (d *decoder) items(dst reflect.Value, node ast.Node, field string) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		d.at(lineOf(node), field, "must be a list, not "+kindOf(node), "")
		return
	}
	out := reflect.MakeSlice(dst.Type(), len(list.Values), len(list.Values))
	for i, v := range list.Values {
		d.value(out.Index(i), v, fmt.Sprintf("%s[%d]", field, i))
	}
	dst.Set(out)
}

func (d *decoder) scalar(dst reflect.Value, node ast.Node, field string) {
	var text string
	switch n := node.(type) {
	case *ast.StringNode:
		text = d.expand(n.Value, lineOf(n), field)
	case *ast.LiteralNode:
		text = d.expand(n.Value.Value, lineOf(n), field)
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		text = n.GetToken().Value // as written: a password 007 is not 7
	default:
		d.at(lineOf(node), field, "must be one value, not "+kindOf(node), "put text with a colon in quotes")
		return
	}
	if wrong := setText(dst, text); wrong != "" && !d.failed(field) {
		d.at(lineOf(node), field, wrong, "")
	}
}

// failed says whether the field's text could not be expanded, so that it is reported once.
func (d *decoder) failed(field string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Field == field })
}

func fieldNamed(dst reflect.Value, key string) (reflect.Value, bool) {
	for i, name := range fieldNames(dst.Type()) {
		if name == key && key != unnamed {
			return dst.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// unnamed stands in the place of a name where a field is none of the file's.
const unnamed = "-"

// fieldNames is a struct's names in YAML, by field index.
func fieldNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
	}
	return names
}

func keyOf(kv *ast.MappingValueNode) string { return kv.Key.GetToken().Value }

func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

func kindOf(n ast.Node) string {
	switch n.(type) {
	case ast.MapNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	}
	return "a single value"
}

func join(field, key string) string {
	if field == "" {
		return key
	}
	return field + "." + key
}
