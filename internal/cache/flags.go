package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/redis/go-redis/v9"
)

// Ready is a shop that is warm for a broadcast.
type Ready struct {
	Shop       string    `json:"-"`
	Broadcast  string    `json:"-"`
	Run        string    `json:"run"`
	Rows       int64     `json:"rows"`
	FinishedAt time.Time `json:"finished_at"`
	AsOf       time.Time `json:"as_of"` // by the source's clock: what was committed there before is in the cache
	StartsAt   time.Time `json:"starts_at"`
	EndsAt     time.Time `json:"ends_at"`
	KeysUntil  time.Time `json:"keys_until"` // none of its keys expires before

	Datasets map[string]time.Time `json:"datasets,omitempty"` // AsOf of each; AsOf is the earliest
	Parts    map[string]Part      `json:"parts,omitempty"`    // what is kept of datasets that are not kept whole
	Caches   map[string]string    `json:"caches,omitempty"`   // that each is in, by the cache's name; none: there is one cache
}

// Part is the rows of a dataset behind After and up to UpTo: the values of `by`, as texts, in its order; and of those the ones whose
// Column is at least Since. Whatever else there is must be read from the source.
type Part struct {
	After json.RawMessage `json:"after,omitempty"` // none: from the first row
	UpTo  json.RawMessage `json:"up_to,omitempty"` // none: to the last row, and those that will come

	Column string `json:"column,omitempty"`
	Since  string `json:"since,omitempty"` // as the column's text; none: whatever it holds
}

// Pair is a broadcast of a shop.
type Pair struct{ Shop, Broadcast string }

// flagsAtOnce is how many flags one pipeline asks for.
const flagsAtOnce = 1000

// Flags are the ready flags, on the queue's Redis. They answer duplicates without the ledger; the ledger stays the
// truth, so a flag that is missing or cannot be read is only slower.
type Flags struct {
	client redis.UniversalClient
}

// NewFlags are the flags of one queue. The client's owner closes it.
func NewFlags(client redis.UniversalClient) *Flags { return &Flags{client: client} }

// SetReady sets the flag until the end of the broadcast. After it, there is nothing to set.
func (f *Flags) SetReady(ctx context.Context, r Ready) error {
	if !r.EndsAt.After(time.Now()) {
		return nil
	}
	return f.set(ctx, r, "set")
}

// set writes the flag with its expiry; more are options of SET.
func (f *Flags) set(ctx context.Context, r Ready, verb string, more ...any) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode ready flag: %w", err)
	}
	args := append([]any{"set", redisconn.ReadyKey(r.Shop, r.Broadcast), text, "pxat", r.EndsAt.UnixMilli()}, more...)
	if err := f.client.Do(ctx, args...).Err(); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("%s ready flag of shop %q: %w", verb, r.Shop, err)
	}
	return nil
}

// Ready is the flag of a broadcast, or nil.
func (f *Flags) Ready(ctx context.Context, shop, broadcast string) (*Ready, error) {
	flags, err := f.MReady(ctx, []Pair{{shop, broadcast}})
	if err != nil {
		return nil, err
	}
	return flags[0], nil
}

// MReady are the flags of many broadcasts, in their order; nil where there is none.
func (f *Flags) MReady(ctx context.Context, pairs []Pair) ([]*Ready, error) {
	flags := make([]*Ready, 0, len(pairs))
	for len(pairs) > 0 {
		n := min(len(pairs), flagsAtOnce)
		some, err := f.read(ctx, pairs[:n])
		if err != nil {
			return nil, err
		}
		flags, pairs = append(flags, some...), pairs[n:]
	}
	return flags, nil
}

func (f *Flags) read(ctx context.Context, pairs []Pair) ([]*Ready, error) {
	pipe := f.client.Pipeline()
	replies := make([]*redis.StringCmd, len(pairs))
	for i, p := range pairs {
		replies[i] = pipe.Get(ctx, redisconn.ReadyKey(p.Shop, p.Broadcast))
	}
	_, _ = pipe.Exec(ctx) // each reply holds its own error
	flags := make([]*Ready, len(pairs))
	for i, reply := range replies {
		text, err := reply.Bytes()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read ready flag of shop %q: %w", pairs[i].Shop, err)
		}
		r := Ready{Shop: pairs[i].Shop, Broadcast: pairs[i].Broadcast}
		if json.Unmarshal(text, &r) == nil && r.Run != "" { // what somebody else wrote there is no flag
			flags[i] = &r
		}
	}
	return flags, nil
}

// MoveReady gives a flag that is set the broadcast's new times. Without a flag it does nothing.
func (f *Flags) MoveReady(ctx context.Context, shop, broadcast string, startsAt, endsAt time.Time) error {
	r, err := f.Ready(ctx, shop, broadcast)
	if err != nil || r == nil {
		return err
	}
	if !r.KeysUntil.IsZero() { // an older release does not tell it
		r.KeysUntil = r.KeysUntil.Add(endsAt.Sub(r.EndsAt))
	}
	r.StartsAt, r.EndsAt = startsAt, endsAt
	if !endsAt.After(time.Now()) {
		return f.ClearReady(ctx, shop, broadcast)
	}
	return f.set(ctx, *r, "move", "xx")
}

// ClearReady removes a flag, if it is there.
func (f *Flags) ClearReady(ctx context.Context, shop, broadcast string) error {
	if err := f.client.Del(ctx, redisconn.ReadyKey(shop, broadcast)).Err(); err != nil {
		return fmt.Errorf("clear ready flag of shop %q: %w", shop, err)
	}
	return nil
}
