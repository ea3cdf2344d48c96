package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/redisconn"
)

const (
	// removeTick is how often the leader looks for keys to remove.
	removeTick = 250 * time.Millisecond
	// DefaultRest is how long a removal waits before it looks at the cache: pages on their way are written by then. So long it
	// waits again, and then looks once more, until it finds nothing.
	DefaultRest = time.Second
	// removeAtOnce is how many keys are removed at a time.
	removeAtOnce = 1000
)

// Removable is a dataset whose keys can be told, or not, without reading it.
type Removable interface {
	Spec() dataset.Spec
	Encoder() *dataset.Encoder
	// OnlyKey is the one key that a shop has; ok is false if it may have several, or that cannot be told.
	OnlyKey(shop string) (key string, ok bool)
}

// Remover removes the keys of shops that were switched off, in the pod that leads. A removal whose pod died is begun anew by
// another: what is removed already is not found again.
type Remover struct {
	Ledger   *ledger.Store
	Caches   []redis.UniversalClient // all of them: a shop may have lived elsewhere before
	Datasets []Removable
	Proceed  Proceed       // asked with neither shop nor dataset; of ErrHeld the removal waits for its next turn. nil: go on
	Rest     time.Duration // DefaultRest, in production
	Owner    string        // the pod
	Log      *slog.Logger
}

// Run removes what is asked for until the context ends.
func (r *Remover) Run(ctx context.Context) {
	next := time.NewTicker(removeTick)
	defer next.Stop()
	for {
		if err := r.Once(ctx); err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "remove the keys of a shop that is switched off; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
	}
}

// Once goes once through the cache for the next removal, if there is one.
func (r *Remover) Once(ctx context.Context) error {
	next, err := r.Ledger.NextRemoval(ctx, r.Owner, r.Rest, dead)
	if err != nil || next == nil {
		return err
	}
	w := &removal{Remover: r, Removal: *next, unsure: map[*dataset.Pattern]int{}, said: time.Now()}
	err = w.carry(ctx)
	if errors.Is(err, ledger.ErrFenced) {
		return nil // the shop is being switched on
	}
	w.State, w.LastError = ledger.RemovalWaiting, ""
	switch {
	case err != nil:
		w.LastError = err.Error()
	case w.found == 0:
		w.State = ledger.RemovalDone
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), beat)
	defer cancel()
	if e := w.Ledger.SaveRemoval(bounded, w.Removal); e != nil && !errors.Is(e, ledger.ErrFenced) {
		return errors.Join(err, e)
	}
	if w.State == ledger.RemovalDone {
		r.Log.InfoContext(ctx, "the keys of a shop that is switched off are removed", "shop", w.ShopID, "keys", w.Removed)
	}
	if errors.Is(err, ErrHeld) || w.LastError == next.LastError {
		return nil // it was said
	}
	return err
}

// removal is one in hand.
type removal struct {
	*Remover
	ledger.Removal
	client   redis.UniversalClient // the cache that is gone through
	patterns []*dataset.Pattern
	others   []*dataset.Encoder // of which the keys are left alone
	unsure   map[*dataset.Pattern]int
	keys     []string  // the batch
	found    int64     // keys, in this pass
	said     time.Time // when the ledger was told that it is in hand
}

func (w *removal) carry(ctx context.Context) error {
	only := w.sort()
	var all error
	for _, w.client = range w.Caches {
		w.keys = w.keys[:0]
		err := w.through(ctx, only)
		if errors.Is(err, ledger.ErrFenced) || errors.Is(err, ErrHeld) || ctx.Err() != nil {
			return err
		}
		all = errors.Join(all, err) // a cache that is away keeps no other from being looked through
	}
	for _, p := range w.patterns {
		if n := w.unsure[p]; n > 0 {
			w.Left = append(w.Left, ledger.LeftOver{Dataset: p.Dataset(), Why: fmt.Sprintf(
				"%d keys may be another shop's: a value in them holds the text that stands behind the shop's id", n)})
		}
	}
	return all
}

// through goes through one cache.
func (w *removal) through(ctx context.Context, only []string) error {
	if err := w.take(ctx, only...); err != nil {
		return err
	}
	prefixes := map[string]bool{}
	for _, p := range w.patterns {
		prefixes[p.Prefix()] = true
	}
	if len(prefixes) > fewScans {
		prefixes = map[string]bool{"": true}
	}
	for prefix := range prefixes {
		if err := cache.Scan(ctx, w.client, prefix, w.proceed, w.visit); err != nil {
			return fmt.Errorf("look for the keys of shop %s: %w", w.ShopID, err)
		}
	}
	return w.flush(ctx)
}

// sort finds out which keys can be told, and what is left to expire, and why. It returns keys that are known as they are.
func (w *removal) sort() (only []string) {
	w.Left = nil
	for _, d := range w.Datasets {
		key, one := d.OnlyKey(w.ShopID)
		pattern, told := d.Encoder().Pattern(w.ShopID)
		switch why := left(d, w.ShopID, one, told); {
		case why != "":
			w.Left = append(w.Left, ledger.LeftOver{Dataset: d.Spec().Name, Why: why})
			w.others = append(w.others, d.Encoder())
		case one:
			only = append(only, key)
		default:
			w.patterns = append(w.patterns, pattern)
		}
	}
	return only
}

// left is pure: why the keys that a shop has of a dataset are not removed, or "".
func left(d Removable, shop string, one, told bool) string {
	switch {
	case d.Encoder().Write() == dataset.WriteMissing:
		return "it has `write: missing`, so the application's keys cannot be told from prewarm's"
	case one:
		return ""
	case !d.Spec().Paged():
		return "its keys cannot be known without reading it"
	case !told:
		return "a shop's keys cannot be told from others' for sure: they do not hold the shop and all of `by`"
	case d.Encoder().HidesShop(shop):
		return "the shop's id holds the text that stands behind it in the keys, so they may be another shop's"
	}
	return ""
}

// own says whether a key is one that prewarm has written for the shop, and of no dataset that is left alone.
func (w *removal) own(key string) bool {
	if strings.HasPrefix(key, redisconn.Own) {
		return false
	}
	for _, enc := range w.others {
		if mayBe(enc, w.ShopID, key) {
			return false
		}
	}
	for _, p := range w.patterns {
		if _, ok := p.Row(key); ok {
			return true
		}
	}
	for _, p := range w.patterns {
		if p.Unsure(key) {
			w.unsure[p]++
		}
	}
	return false
}

// visit takes the shop's own of some keys of the cache.
func (w *removal) visit(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if w.own(key) {
			if err := w.take(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *removal) take(ctx context.Context, keys ...string) error {
	if w.keys = append(w.keys, keys...); len(w.keys) < removeAtOnce {
		return nil
	}
	return w.flush(ctx)
}

// flush removes a batch, if the ledger still allows it, and gives it up when it takes too long.
func (w *removal) flush(ctx context.Context) error {
	if len(w.keys) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ledger.RemovalTime)
	defer cancel()
	if err := w.say(ctx); err != nil {
		return err
	}
	pipe := w.client.Pipeline()
	for _, key := range w.keys {
		pipe.Unlink(ctx, key)
	}
	replies, err := pipe.Exec(ctx)
	for _, reply := range replies {
		if n, ok := reply.(*redis.IntCmd); ok {
			w.Removed += n.Val()
			w.found += n.Val()
		}
	}
	w.keys = w.keys[:0]
	if err != nil {
		return fmt.Errorf("remove keys of shop %s: %w", w.ShopID, err)
	}
	return nil
}

func (w *removal) say(ctx context.Context) error {
	w.said = time.Now()
	return w.Ledger.BeatRemoval(ctx, w.Removal)
}

// proceed waits for the guard, and says now and then that the removal is in hand.
func (w *removal) proceed(ctx context.Context) error {
	if w.Proceed != nil {
		if err := w.Proceed(ctx, "", ""); err != nil {
			return err
		}
	}
	if time.Since(w.said) < beat {
		return nil
	}
	return w.say(ctx)
}
