package change

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Bad is a message that cannot be read.
type Bad struct {
	At  int // its place in the document, from 0
	Err error
}

// MaxChanges is how many changes one document may hold.
const MaxChanges = 20_000

// Parse reads a document: one message, a list of them, many one after the other, or {"changes": [...]}; each is prewarm's
// own or one of Debezium's, Maxwell's or Canal's. A message that cannot be read does not sink the others. The error, if
// any, is ErrMalformed with the details.
func Parse(doc []byte) (changes []Change, bad []Bad, err error) {
	messages, err := split(doc)
	if err != nil {
		return nil, nil, err
	}
	for i, m := range messages {
		some, err := One(m)
		if err != nil {
			bad = append(bad, Bad{i, err})
			continue
		}
		if len(changes)+len(some) > MaxChanges {
			return nil, nil, fmt.Errorf("%w: more than %d changes; send fewer at once", ErrMalformed, MaxChanges)
		}
		changes = append(changes, some...)
	}
	return changes, bad, nil
}

// split takes a document apart.
func split(doc []byte) ([]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	var messages []json.RawMessage
	for {
		var m json.RawMessage
		err := dec.Decode(&m)
		if err == io.EOF { //nolint:errorlint // the decoder returns it bare
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		some := []json.RawMessage{m}
		switch {
		case len(m) > 0 && m[0] == '[':
			err = json.Unmarshal(m, &some)
		case bytes.HasPrefix(m, []byte("{")):
			var envelope struct {
				Changes *[]json.RawMessage `json:"changes"`
			}
			if err = json.Unmarshal(m, &envelope); err == nil && envelope.Changes != nil {
				some = *envelope.Changes
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if messages = append(messages, some...); len(messages) > MaxChanges {
			return nil, fmt.Errorf("%w: more than %d changes; send fewer at once", ErrMalformed, MaxChanges)
		}
	}
	if len(messages) == 0 {
		return nil, fmt.Errorf(`%w: send {"changes": [{"dataset": "…", "shop": "…", "key": ["…"], "op": "update"}]}`, ErrMalformed)
	}
	return messages, nil
}

// message has the fields of all forms; they tell the forms apart.
type message struct {
	// prewarm's own.
	Dataset string          `json:"dataset"`
	Shop    json.RawMessage `json:"shop"`
	Key     json.RawMessage `json:"key"`
	Who     string          `json:"who"`
	At      *time.Time      `json:"at"`

	// prewarm's own and Debezium's.
	Op     string          `json:"op"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`

	// Debezium's.
	Payload json.RawMessage `json:"payload"`
	Source  *struct {
		DB    string `json:"db"`
		Table string `json:"table"`
		TS    int64  `json:"ts_ms"`
	} `json:"source"`

	// Maxwell's and Canal's, and partly prewarm's own.
	Database string          `json:"database"`
	Table    string          `json:"table"`
	Type     string          `json:"type"`
	Data     json.RawMessage `json:"data"`
	Old      json.RawMessage `json:"old"`
	TS       int64           `json:"ts"` // Maxwell's in seconds, Canal's in ms
	ES       int64           `json:"es"` // Canal's: when it was committed, in ms
	IsDDL    *bool           `json:"isDdl"`
}

// One reads one message. ErrNotRows: there is nothing to do for it.
func One(text []byte) ([]Change, error) {
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	switch {
	case len(m.Payload) > 0 && string(m.Payload) != "null":
		return One(m.Payload)
	case m.Source != nil:
		return debezium(m)
	case m.IsDDL != nil:
		return canal(m)
	case m.Type != "" && m.Database != "":
		return maxwell(m)
	}
	return own(m)
}

func own(m message) ([]Change, error) {
	c := Change{Dataset: m.Dataset, Database: m.Database, Table: m.Table, Op: m.Op, Who: m.Who}
	if m.At != nil {
		c.At = *m.At
	}
	if c.Dataset == "" && c.Table == "" {
		return nil, fmt.Errorf("%w: dataset or table is missing", ErrMalformed)
	}
	if c.Op == "" {
		c.Op = Refresh
	}
	if !slices.Contains([]string{Insert, Update, Delete, Hide, Refresh}, c.Op) {
		return nil, fmt.Errorf("%w: op %.40q is not known; use insert, update, delete, hide or refresh", ErrMalformed, c.Op)
	}
	var err error
	if c.Before, err = row(m.Before); err != nil {
		return nil, fmt.Errorf("before: %w", err)
	}
	if c.After, err = row(m.After); err != nil {
		return nil, fmt.Errorf("after: %w", err)
	}
	if len(m.Shop) > 0 {
		if c.Shop, err = text(m.Shop); err != nil {
			return nil, fmt.Errorf("shop: %w", err)
		}
	}
	return withKey(c, m.Key)
}

// withKey reads a key: one value, a list of values in the order of `by`, or an object with columns.
func withKey(c Change, key json.RawMessage) ([]Change, error) {
	switch {
	case len(key) == 0 || string(key) == "null":
	case key[0] == '[':
		var parts []json.RawMessage
		if err := json.Unmarshal(key, &parts); err != nil {
			return nil, fmt.Errorf("%w: key: %w", ErrMalformed, err)
		}
		for _, p := range parts {
			v, err := text(p)
			if err != nil {
				return nil, fmt.Errorf("key: %w", err)
			}
			c.Key = append(c.Key, v)
		}
	case key[0] == '{':
		columns, err := row(key)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		if c.After == nil && c.Before == nil {
			c.After = Row{}
		}
		for _, r := range []Row{c.Before, c.After} {
			for name, v := range columns {
				if r != nil {
					r[name] = v
				}
			}
		}
	default:
		v, err := text(key)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		c.Key = []string{v}
	}
	return []Change{c}, nil
}

// debezium reads an event of Debezium's MySQL connector; op c, u, d, r (snapshot), t (truncate), m (message).
func debezium(m message) ([]Change, error) {
	ops := map[string]string{"c": Insert, "u": Update, "d": Delete, "r": Refresh, "t": Refresh}
	c := Change{Database: m.Source.DB, Table: m.Source.Table, Op: ops[m.Op], Who: "debezium", At: millis(m.Source.TS)}
	if c.Op == "" || c.Table == "" {
		return nil, ErrNotRows
	}
	return oneRow(c, m.Before, m.After)
}

// maxwell reads a message of Maxwell: data is the row as it is, or was before it was deleted; old has what changed of it.
func maxwell(m message) ([]Change, error) {
	op := strings.TrimPrefix(m.Type, "bootstrap-")
	c := Change{Database: m.Database, Table: m.Table, Op: op, Who: "maxwell", At: millis(m.TS * 1000)}
	data, err := row(m.Data)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	old, err := row(m.Old)
	if err != nil {
		return nil, fmt.Errorf("old: %w", err)
	}
	switch op {
	case Insert:
		c.After = data
	case Update:
		c.After, c.Before = data, merged(data, old)
	case Delete:
		c.Before = data
	default:
		return nil, ErrNotRows
	}
	return []Change{c}, nil
}

// canal reads a flat message of Canal, which may hold many rows.
func canal(m message) ([]Change, error) {
	op := strings.ToLower(m.Type)
	if *m.IsDDL || op != Insert && op != Update && op != Delete {
		return nil, ErrNotRows
	}
	data, err := rows(m.Data)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	old, err := rows(m.Old)
	if err != nil {
		return nil, fmt.Errorf("old: %w", err)
	}
	var changes []Change
	for i, r := range data {
		c := Change{Database: m.Database, Table: m.Table, Op: op, Who: "canal", At: millis(m.ES)}
		if op != Delete {
			c.After = r
		}
		if op != Insert {
			c.Before = r
		}
		if op == Update && i < len(old) {
			c.Before = merged(r, old[i])
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func oneRow(c Change, before, after json.RawMessage) ([]Change, error) {
	var err error
	if c.Before, err = row(before); err != nil {
		return nil, fmt.Errorf("before: %w", err)
	}
	if c.After, err = row(after); err != nil {
		return nil, fmt.Errorf("after: %w", err)
	}
	return []Change{c}, nil
}

// merged is a row as it was before some of its columns changed.
func merged(now, old Row) Row {
	was := Row{}
	for name, v := range now {
		was[name] = v
	}
	for name, v := range old {
		was[name] = v
	}
	return was
}

func millis(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// rows reads a list of objects; nil for null.
func rows(text json.RawMessage) ([]Row, error) {
	var parts []json.RawMessage
	if len(text) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(text, &parts); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	list := make([]Row, len(parts))
	for i, p := range parts {
		var err error
		if list[i], err = row(p); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// row reads an object; nil for null. A value that is no scalar is left out: no key has one.
func row(object json.RawMessage) (Row, error) {
	if len(object) == 0 || string(object) == "null" {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	r := make(Row, len(fields))
	for name, value := range fields {
		if string(value) == "null" {
			r[name] = nil
			continue
		}
		if value[0] == '{' || value[0] == '[' {
			continue
		}
		v, err := text(value)
		if err != nil {
			return nil, err
		}
		r[name] = &v
	}
	return r, nil
}

// text is a scalar as the database writes it.
func text(value json.RawMessage) (string, error) {
	switch {
	case len(value) == 0 || value[0] == '{' || value[0] == '[' || string(value) == "null":
		return "", fmt.Errorf("%w: a string or a number should stand there", ErrMalformed)
	case value[0] == '"':
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return "", fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return s, nil
	case string(value) == "true":
		return "1", nil
	case string(value) == "false":
		return "0", nil
	}
	return string(value), nil
}
