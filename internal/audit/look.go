package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// have is what stands under a key.
type have struct {
	there   bool
	other   bool // it is of another type
	text    string
	hash    map[string]string
	expires time.Time // zero: never
}

// byTTLSlack is by how much an expiry may differ that a Redis before 7 tells as the time that is left.
const byTTLSlack = 5 * time.Second

// pipeliner is a client, or a transaction's connection.
type pipeliner interface{ Pipeline() redis.Pipeliner }

// look looks keys up, all in one pipeline.
func (a *Auditor) look(ctx context.Context, on pipeliner, p *place, wants []want) ([]have, error) {
	if len(wants) == 0 {
		return nil, nil
	}
	began := time.Now()
	defer func() { a.looking.Add(int64(time.Since(began))) }()
	pipe := on.Pipeline()
	hash := p.d.Spec().Value == dataset.ValueHash
	texts, hashes, ages := make([]*redis.StringCmd, len(wants)), make([]*redis.MapStringStringCmd, len(wants)), make([]*redis.IntCmd, len(wants))
	ask := "pexpiretime"
	if a.byTTL {
		ask = "pttl"
	}
	for i, w := range wants {
		if hash {
			hashes[i] = pipe.HGetAll(ctx, w.key)
		} else {
			texts[i] = pipe.Get(ctx, w.key)
		}
		ages[i] = redis.NewIntCmd(ctx, ask, w.key)
		ages[i].SetFirstKeyPos(1)
		_ = pipe.Process(ctx, ages[i])
	}
	_, _ = pipe.Exec(ctx) // each reply holds its own error
	all := make([]have, len(wants))
	for i := range wants {
		var err error
		h := &all[i]
		if hash {
			h.hash, err = hashes[i].Result()
			h.there = len(h.hash) > 0
		} else {
			h.text, err = texts[i].Result()
			h.there = err == nil
		}
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			h.there, h.other, err = true, true, nil
		}
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("read the cache: %w", err)
		}
		at, err := ages[i].Result()
		if redis.HasErrorPrefix(err, "unknown command") && !a.byTTL {
			a.byTTL = true
			return a.look(ctx, on, p, wants)
		}
		if err != nil {
			return nil, fmt.Errorf("read the cache: %w", err)
		}
		switch {
		case at < 0:
		case a.byTTL:
			h.expires = time.Now().Add(time.Duration(at) * time.Millisecond)
		default:
			h.expires = time.UnixMilli(at)
		}
	}
	return all, nil
}

// judge says what is wrong with a key, and how, by what the dataset's `write` promises; "" for nothing.
func (a *Auditor) judge(p *place, w want, h have) (Kind, string) {
	write := p.d.Encoder().Write()
	switch {
	case w.unsaid:
		return "", ""
	case !h.there && w.absent:
		return "", ""
	case !h.there:
		return Missing, ""
	case write == dataset.WriteMissing && !a.own(p, w, h):
		return "", "" // the application's
	case w.absent:
		return Extra, "there is no such row"
	}
	if what := w.differs(h); what != "" {
		if write == dataset.WriteNewer && newer(p.d.Encoder().Version(), h, w) {
			return "", "" // the application has written it, and its expiry
		}
		return Different, what
	}
	if !a.rightExpiry(p, w, h) {
		right := p.expiry.At([]byte(w.key)).UTC().Format(time.RFC3339)
		if h.expires.IsZero() {
			return WrongExpiry, "it never expires; right is " + right
		}
		return WrongExpiry, fmt.Sprintf("it expires at %s; right is %s", h.expires.UTC().Format(time.RFC3339), right)
	}
	return "", ""
}

// differs says what is different, or "".
func (w want) differs(h have) string {
	switch {
	case h.other:
		return "it is of another type"
	case w.hash == nil && h.text != w.text:
		return fmt.Sprintf("%d bytes, should be %d", len(h.text), len(w.text))
	case w.hash == nil:
		return ""
	}
	for field, value := range w.hash {
		if got, ok := h.hash[field]; !ok || got != value {
			return "field " + field
		}
	}
	for _, field := range w.nulls {
		if _, ok := h.hash[field]; ok {
			return "field " + field + " should not be there"
		}
	}
	if w.exact && len(h.hash) != len(w.hash) {
		return fmt.Sprintf("%d fields, should be %d", len(h.hash), len(w.hash))
	}
	return ""
}

func (a *Auditor) near(x, y time.Time) bool {
	slack := a.slack()
	if a.byTTL {
		slack = max(slack, byTTLSlack)
	}
	return x.Sub(y).Abs() <= slack
}

func (a *Auditor) rightExpiry(p *place, w want, h have) bool {
	return a.near(h.expires, p.expiry.At([]byte(w.key))) || p.moving && a.former(p, w, h)
}

// own says whether prewarm has written a key: its expiry tells.
func (a *Auditor) own(p *place, w want, h have) bool {
	return !h.expires.IsZero() && (a.near(h.expires, p.expiry.At([]byte(w.key))) || a.former(p, w, h))
}

func (a *Auditor) former(p *place, w want, h have) bool {
	e := p.expiry
	for _, end := range p.expiry.Former {
		e.Until = end
		if a.near(h.expires, e.At([]byte(w.key))) {
			return true
		}
	}
	return false
}
