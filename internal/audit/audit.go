// Package audit compares the cache with its source: every row is read again and its key, value and expiry are looked up.
// It changes nothing. The reading of the cache shares no code with the writing of it.
package audit

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/source"
)

// Dataset is a dataset on its live source.
type Dataset interface {
	Spec() dataset.Spec
	Encoder() *dataset.Encoder
	ReadPage(ctx context.Context, shop, after, to string, limit int, visit source.Visit) (source.Page, error)
	ReadAll(ctx context.Context, shop string, visit source.Visit) error
}

// Findings count keys. A hash that all rows share is one key.
type Findings struct {
	Keys        int64 `json:"keys"` // that should be there
	Missing     int64 `json:"missing"`
	Different   int64 `json:"different"`
	Extra       int64 `json:"extra"` // in the cache, and of no row
	WrongExpiry int64 `json:"wrong_expiry"`
}

// Clean says that nothing was found.
func (f Findings) Clean() bool {
	return f.Missing == 0 && f.Different == 0 && f.Extra == 0 && f.WrongExpiry == 0
}

// pageRows is how many rows are compared at a time.
const pageRows = 500

// Auditor compares shops and adds up what it finds. It is for one goroutine.
type Auditor struct {
	Cache    redis.UniversalClient
	Datasets []Dataset
	After    time.Duration // policy.expire
	Jitter   time.Duration
	Slack    func() time.Duration // by how much an expiry may differ now, as far as the cache's clock is known; nil: not at all

	Findings Findings

	seen    map[string]struct{}
	pending []expected
}

// expected is what should stand under a key: a string, or a hash.
type expected struct {
	key    string
	value  string
	hash   map[string]string // not nil: a hash
	expire time.Time
}

// Shop compares what a shop's datasets hold with what is cached for a broadcast that ends at ends.
func (a *Auditor) Shop(ctx context.Context, shop string, ends time.Time) error {
	e := cache.Expiry{EndsAt: ends, After: a.After, Jitter: a.Jitter}
	for _, d := range a.Datasets {
		if err := a.dataset(ctx, d, shop, e); err != nil {
			return fmt.Errorf("audit dataset %s of shop %s: %w", d.Spec().Name, shop, err)
		}
	}
	return nil
}

func (a *Auditor) dataset(ctx context.Context, d Dataset, shop string, e cache.Expiry) error {
	visit := func(row []sql.RawBytes) (bool, error) {
		want, err := perRow(d, shop, row)
		if err == nil {
			a.expect(want, e)
		}
		return true, err
	}
	if !d.Spec().Paged() {
		if !d.Encoder().PerRow() && d.Spec().Value != dataset.ValueJSON {
			return a.collection(ctx, d, shop, e)
		}
		if err := d.ReadAll(ctx, shop, visit); err != nil {
			return err
		}
		return a.compare(ctx)
	}
	for after := ""; ; {
		p, err := d.ReadPage(ctx, shop, after, "", pageRows, visit)
		if err != nil {
			return err
		}
		if err := a.compare(ctx); err != nil {
			return err
		}
		if p.Done {
			return nil
		}
		after = p.Last
	}
}

// perRow is what a row with a key of its own should be cached as.
func perRow(d Dataset, shop string, row []sql.RawBytes) (expected, error) {
	enc := d.Encoder()
	key, err := enc.AppendKey(nil, shop, row)
	if err != nil {
		return expected{}, err
	}
	if d.Spec().Value != dataset.ValueHash {
		value, err := enc.AppendObject(nil, row)
		return expected{key: string(key), value: string(value)}, err
	}
	want := expected{key: string(key), hash: map[string]string{}}
	for i, name := range enc.Columns() {
		text, ok, err := enc.AppendText(nil, i, row)
		if err != nil {
			return expected{}, err
		}
		if ok {
			want.hash[name] = string(text)
		}
	}
	return want, nil
}

// collection expects all rows under one key.
func (a *Auditor) collection(ctx context.Context, d Dataset, shop string, e cache.Expiry) error {
	enc := d.Encoder()
	key, err := enc.AppendKey(nil, shop, nil)
	if err != nil {
		return err
	}
	want := expected{key: string(key)}
	if d.Spec().Value == dataset.ValueHash {
		want.hash = map[string]string{}
	}
	list := []byte{'['}
	err = d.ReadAll(ctx, shop, func(row []sql.RawBytes) (bool, error) {
		object, err := enc.AppendObject(nil, row)
		if err != nil {
			return false, err
		}
		if want.hash == nil {
			if len(list) > 1 {
				list = append(list, ',')
			}
			list = append(list, object...)
			return true, nil
		}
		field, err := enc.AppendField(nil, shop, row)
		want.hash[string(field)] = string(object)
		return true, err
	})
	if err != nil {
		return err
	}
	want.value = string(append(list, ']'))
	if want.hash != nil && len(want.hash) == 0 {
		return nil // Redis has no empty hashes
	}
	a.expect(want, e)
	return a.compare(ctx)
}

func (a *Auditor) expect(want expected, e cache.Expiry) {
	if a.seen == nil {
		a.seen = map[string]struct{}{}
	}
	a.seen[want.key] = struct{}{}
	want.expire = e.At([]byte(want.key))
	a.pending = append(a.pending, want)
	a.Findings.Keys++
}

// compare looks up what is pending.
func (a *Auditor) compare(ctx context.Context) error {
	if len(a.pending) == 0 {
		return nil
	}
	values := make([]*redis.StringCmd, len(a.pending))
	hashes := make([]*redis.MapStringStringCmd, len(a.pending))
	expiries := make([]*redis.DurationCmd, len(a.pending))
	pipe := a.Cache.Pipeline()
	for i, want := range a.pending {
		if want.hash != nil {
			hashes[i] = pipe.HGetAll(ctx, want.key)
		} else {
			values[i] = pipe.Get(ctx, want.key)
		}
		expiries[i] = pipe.PExpireTime(ctx, want.key)
	}
	// What is missing or of another type is an error of its command, and a finding.
	if _, err := pipe.Exec(ctx); err != nil && expiries[0].Err() != nil {
		return fmt.Errorf("read the cache: %w", expiries[0].Err())
	}
	for i, want := range a.pending {
		a.judge(want, values[i], hashes[i], expiries[i].Val())
	}
	a.pending = a.pending[:0]
	return nil
}

func (a *Auditor) judge(want expected, value *redis.StringCmd, hash *redis.MapStringStringCmd, expires time.Duration) {
	var same bool
	if want.hash != nil {
		if len(hash.Val()) == 0 && hash.Err() == nil {
			a.Findings.Missing++
			return
		}
		same = equal(hash.Val(), want.hash)
	} else {
		if value.Err() == redis.Nil { //nolint:errorlint // go-redis returns it bare
			a.Findings.Missing++
			return
		}
		same = value.Err() == nil && value.Val() == want.value
	}
	if !same {
		a.Findings.Different++
	}
	if off := time.UnixMilli(expires.Milliseconds()).Sub(want.expire).Abs(); off > a.slack() {
		a.Findings.WrongExpiry++
	}
}

func (a *Auditor) slack() time.Duration {
	if a.Slack == nil {
		return 0
	}
	return a.Slack()
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}

// Extras counts the keys of the cache, prewarm's own marks aside, that no row of the shops compared so far has. It is for a
// cache that holds nothing else.
func (a *Auditor) Extras(ctx context.Context) error {
	iter := a.Cache.Scan(ctx, 0, "", 1000).Iterator()
	extra := map[string]struct{}{} // SCAN may show a key twice
	for iter.Next(ctx) {
		if _, ok := a.seen[iter.Val()]; !ok && !strings.HasPrefix(iter.Val(), redisconn.Own) {
			extra[iter.Val()] = struct{}{}
		}
	}
	a.Findings.Extra = int64(len(extra))
	return iter.Err()
}
