package check

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Forms of a dataset in the cache.
const (
	Document  = "document"  // one row, one key, a JSON object
	Documents = "documents" // all rows under one key, a JSON array in the order of the query
	Hash      = "hash"      // one row, one key, a field per column
	Rows      = "rows"      // all rows under one key, a hash with a JSON object per row
)

// Dataset says what is in the cache for a query's rows.
type Dataset struct {
	Name  string
	Query string           // the rows of the shop `?`, in order
	Key   string           // with {column} and {shop}
	Field string           // of Rows: with {column}
	Form  string           // one of the above
	By    []string         // the columns of a cursor; none: the dataset is read whole
	Text  []string         // the columns that are text in a JSON document; the others are numbers
	Body  func(Row) string // column `body` follows from the row and its version; a version that the row once had can be checked by it
	ID    func(Row) string // of a row in the History
}

// Row is a row's columns as MySQL's text; nil for NULL.
type Row map[string]*string

// Text is a column's text; "" for NULL.
func (r Row) Text(column string) string {
	if v := r[column]; v != nil {
		return *v
	}
	return ""
}

// at is the row as it was at a version: what changes is `version` and `body`.
func (d Dataset) at(r Row, version string) Row {
	old := Row{}
	for name, v := range r {
		old[name] = v
	}
	old["version"] = &version
	body := d.Body(old)
	old["body"] = &body
	return old
}

// checkShop compares what the cache holds for a shop with what its ready runs must have written.
func checkShop(ctx context.Context, res *Result, c Config, shop string, runs []run, units []unit, starts map[unitID]time.Time) error {
	s := shopCheck{Result: res, Config: c, shop: shop, units: units, starts: starts}
	for _, r := range runs {
		if r.state == "ready" && !c.lostAtTheEnd(r.ends) {
			s.ready = append(s.ready, r)
			if r.ends.After(s.ends) {
				s.ends = r.ends
			}
		} else {
			s.others = append(s.others, r.ends)
			for _, b := range c.Announced {
				if b.Shop == shop && b.ID == r.broadcast {
					s.others = append(s.others, b.Ends...)
				}
			}
		}
	}
	if len(s.ready) == 0 {
		return nil
	}
	for _, d := range c.Datasets {
		if err := s.dataset(ctx, d); err != nil {
			return fmt.Errorf("check dataset %s of shop %s: %w", d.Name, shop, err)
		}
	}
	return nil
}

type shopCheck struct {
	*Result
	Config
	shop   string
	ready  []run
	ends   time.Time   // of the longest ready broadcast
	others []time.Time // ends of broadcasts that are not ready, and may have been loaded in part or before
	units  []unit
	starts map[unitID]time.Time
}

func (s *shopCheck) dataset(ctx context.Context, d Dataset) error {
	rows, err := query(ctx, s.Source, d.Query, s.shop)
	if err != nil {
		return err
	}
	if d.Form == Documents || d.Form == Rows {
		return s.whole(ctx, d, rows)
	}
	const atOnce = 500
	for part := range slices.Chunk(rows, atOnce) {
		if err := s.single(ctx, d, part); err != nil {
			return err
		}
	}
	return nil
}

// single compares rows that have a key each.
func (s *shopCheck) single(ctx context.Context, d Dataset, rows []Row) error {
	pipe := s.Cache.Pipeline()
	texts, hashes, expiries := make([]*redis.StringCmd, len(rows)), make([]*redis.MapStringStringCmd, len(rows)), make([]*redis.DurationCmd, len(rows))
	for i, r := range rows {
		key := fill(d.Key, r, s.shop)
		if d.Form == Hash {
			hashes[i] = pipe.HGetAll(ctx, key)
		} else {
			texts[i] = pipe.Get(ctx, key)
		}
		expiries[i] = pipe.PExpireTime(ctx, key)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read the cache: %w", err)
	}
	for i, r := range rows {
		key := fill(d.Key, r, s.shop)
		there, got := false, Row(nil)
		if d.Form == Hash {
			if fields := hashes[i].Val(); len(fields) > 0 {
				there, got = true, Row{}
				for name, v := range fields {
					got[name] = &v
				}
			}
		} else if text, err := texts[i].Result(); err == nil {
			there, got = true, d.decode(text)
		}
		switch {
		case there:
			s.compare(d, key, r, got)
			s.expiry(key, expiries[i].Val())
		case !s.History.isLoose(d.ID(r)):
			s.add(Missing, "%s, which %s should have written", key, s.names())
		}
	}
	return nil
}

// whole compares a dataset that has one key.
func (s *shopCheck) whole(ctx context.Context, d Dataset, rows []Row) error {
	key := fill(d.Key, nil, s.shop)
	got := map[string]Row{} // by the text of the first column of By, or the field
	if d.Form == Rows {
		fields, err := s.Cache.HGetAll(ctx, key).Result()
		if err != nil {
			return fmt.Errorf("read the cache: %w", err)
		}
		for name, text := range fields {
			got[name] = d.decode(text)
		}
	} else {
		text, err := s.Cache.Get(ctx, key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("read the cache: %w", err)
		}
		var list []json.RawMessage
		if err == nil && json.Unmarshal([]byte(text), &list) != nil {
			s.add(Wrong, "%s is no JSON array: %s", key, clip(text))
		}
		for _, one := range list {
			if r := d.decode(string(one)); r != nil {
				got[fill(d.Field, r, s.shop)] = r
			}
		}
	}
	for _, r := range rows {
		switch g, ok := got[fill(d.Field, r, s.shop)]; {
		case ok:
			s.compare(d, key+" "+fill(d.Field, r, s.shop), r, g)
		case !s.History.isLoose(d.ID(r)):
			s.add(Missing, "%s in %s, which %s should have written", fill(d.Field, r, s.shop), key, s.names())
		}
	}
	if len(got) > 0 {
		s.expiry(key, s.Cache.PExpireTime(ctx, key).Val())
	}
	return nil
}

// compare wants a version of the row that is young enough, and nothing but that version.
func (s *shopCheck) compare(d Dataset, key string, row, got Row) {
	s.Checked++
	if got == nil || got["version"] == nil {
		s.add(Wrong, "%s holds no version", key)
		return
	}
	version := got.Text("version")
	want := Row{}
	for name, v := range d.at(row, version) {
		if d.Form == Hash && v == nil {
			continue // NULL is no field
		}
		want[name] = v
	}
	if !reflect.DeepEqual(want, got) {
		s.add(Wrong, "%s holds %s instead of %s", key, show(got), show(want))
	}
	var n int64
	_, _ = fmt.Sscan(version, &n)
	for _, r := range s.ready {
		began, ok := s.began(d, r, row)
		if !ok {
			continue
		}
		if least := s.History.at(d.ID(row), began); n < least {
			s.add(Old, "%s has version %d; it had %d before run %s began to read it at %s", key, n, least, r.id, began.Format(time.TimeOnly+".000"))
		}
	}
}

// began is when a run's present epoch began to read the unit that the row is in.
func (s *shopCheck) began(d Dataset, r run, row Row) (time.Time, bool) {
	var at []string
	for _, column := range d.By {
		at = append(at, row.Text(column))
	}
	text, _ := json.Marshal(at) //nolint:errchkjson // strings
	for _, u := range s.units {
		if u.run != r.id || u.epoch != r.epoch || u.dataset != d.Name {
			continue
		}
		if len(d.By) > 0 && (u.from != "" && compareCursors(string(text), u.from) <= 0 || u.to != "" && compareCursors(string(text), u.to) > 0) {
			continue
		}
		t, ok := s.starts[u.unitID]
		return t, ok
	}
	return time.Time{}, false
}

// expiry wants that of the longest ready broadcast, or a later one of a broadcast that was loaded and is not ready.
func (s *shopCheck) expiry(key string, got time.Duration) {
	at := time.UnixMilli(got.Milliseconds())
	if got < 0 {
		s.add(Expiry, "%s never expires", key)
		return
	}
	if at.Equal(s.expires(key, s.ends)) {
		return
	}
	for _, end := range s.others {
		if end.After(s.ends) && at.Equal(s.expires(key, end)) {
			return
		}
	}
	s.add(Expiry, "%s expires at %s instead of %s (%s)", key, at.UTC().Format(time.RFC3339Nano), s.expires(key, s.ends).UTC().Format(time.RFC3339Nano), s.names())
}

// expires is the end of the broadcast, and After, and the key's FNV-1a hash modulo Jitter, in milliseconds.
func (s *shopCheck) expires(key string, end time.Time) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	return end.Add(s.After).Add(time.Duration(h.Sum64()%uint64(s.Jitter.Milliseconds())) * time.Millisecond)
}

func (s *shopCheck) names() string {
	var names []string
	for _, r := range s.ready {
		names = append(names, fmt.Sprintf("run %s epoch %d", r.id, r.epoch))
	}
	return strings.Join(names, ", ")
}

// decode is a JSON document as a row; nil if it is none, or holds a number as text or text as a number.
func (d Dataset) decode(text string) Row {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var doc map[string]any
	if dec.Decode(&doc) != nil {
		return nil
	}
	row := Row{}
	for name, v := range doc {
		isText := slices.Contains(d.Text, name)
		switch v := v.(type) {
		case nil:
			row[name] = nil
		case string:
			if !isText {
				return nil
			}
			row[name] = &v
		case json.Number:
			s := v.String()
			if isText {
				return nil
			}
			row[name] = &s
		default:
			return nil
		}
	}
	return row
}

func fill(template string, r Row, shop string) string {
	out := strings.ReplaceAll(template, "{shop}", shop)
	for name, v := range r {
		if v != nil {
			out = strings.ReplaceAll(out, "{"+name+"}", *v)
		}
	}
	return out
}

func show(r Row) string {
	var b strings.Builder
	for _, name := range sorted(r) {
		if r[name] == nil {
			fmt.Fprintf(&b, "%s=NULL ", name)
		} else {
			fmt.Fprintf(&b, "%s=%q ", name, *r[name])
		}
	}
	return clip(b.String())
}

func clip(s string) string { return s[:min(len(s), 300)] }

func query(ctx context.Context, db *sql.DB, text string, args ...any) ([]Row, error) {
	rows, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("read the source: %w", err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return nil, fmt.Errorf("read the source: %w", err)
	}
	var all []Row
	for rows.Next() {
		values := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("read the source: %w", err)
		}
		r := Row{}
		for i, v := range values {
			if r[names[i]] = nil; v.Valid {
				r[names[i]] = &v.String
			}
		}
		all = append(all, r)
	}
	return all, rows.Err()
}
