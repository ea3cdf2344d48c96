package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// fewScans is up to how many prefixes each get a SCAN of their own, which the server filters. More of them are told apart
// here, in one SCAN of all keys.
const fewScans = 4

// sought is a place whose keys can be told from all others.
type sought struct {
	*place
	pattern *dataset.Pattern
}

// Extras looks for keys of the places compared since the last Forget that no row has, in the caches that the places are in, and
// then settles all that was put aside. Keys of a dataset whose template does not hold the shop and all of `by` cannot be told to be
// extra: of those only what is read in one go is compared.
func (a *Auditor) Extras(ctx context.Context) error {
	slices.Sort(a.seen)
	in, clients := map[string][]sought{}, map[string]redis.UniversalClient{}
	for _, p := range a.places {
		if pattern, ok := p.d.Encoder().Pattern(p.shop); ok && p.d.Spec().Paged() {
			in[p.cache.Name] = append(in[p.cache.Name], sought{p, pattern})
			clients[p.cache.Name] = p.cache.Client
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if err := a.extrasIn(ctx, clients[name], in[name]); err != nil {
			return err
		}
	}
	return a.Rest(ctx)
}

func (a *Auditor) extrasIn(ctx context.Context, client redis.UniversalClient, all []sought) error {
	scans := map[string]bool{}
	for _, s := range all {
		scans[s.pattern.Prefix()] = true
	}
	// The longest prefixes first: of shops 1 and 1:2 the latter's keys are looked for first.
	slices.SortFunc(all, func(x, y sought) int { return len(y.pattern.Prefix()) - len(x.pattern.Prefix()) })
	if len(scans) > fewScans {
		scans = map[string]bool{"": true}
	}
	index := indexOf(all)
	a.extra = map[uint64]struct{}{}
	for prefix := range scans {
		err := a.scan(ctx, client, prefix, func(ctx context.Context, key string) error {
			a.suspectExtra(index, key)
			if len(a.waiting) < mostWaiting {
				return nil
			}
			return a.again(ctx, false)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Rest settles all that was put aside.
func (a *Auditor) Rest(ctx context.Context) error { return a.again(ctx, true) }

// prefixes finds the places that a key may be of: those of a map by length of prefix and prefix.
type prefixes struct {
	lengths []int
	by      map[string][]sought
}

func indexOf(all []sought) prefixes {
	index := prefixes{by: map[string][]sought{}}
	for _, s := range all {
		prefix := s.pattern.Prefix()
		if !slices.Contains(index.lengths, len(prefix)) {
			index.lengths = append(index.lengths, len(prefix))
		}
		index.by[prefix] = append(index.by[prefix], s)
	}
	return index
}

// suspectExtra puts a key aside that belongs to a place and was not seen.
func (a *Auditor) suspectExtra(index prefixes, key string) {
	if strings.HasPrefix(key, redisconn.Own) {
		return
	}
	for _, n := range index.lengths {
		if n > len(key) {
			continue
		}
		for _, s := range index.by[key[:n]] {
			row, ok := s.pattern.Row(key)
			if !ok || a.isSeen(key) || a.ofAnother(s.place, key) {
				continue
			}
			if _, twice := a.extra[a.fingerprint(key)]; !twice {
				a.extra[a.fingerprint(key)] = struct{}{}
				a.waiting = append(a.waiting, suspect{place: s.place, want: want{key: key, row: s.d.RowKey(row), absent: true, unread: true}, tries: -1})
			}
			return
		}
	}
}

func (a *Auditor) isSeen(key string) bool {
	_, ok := slices.BinarySearch(a.seen, a.fingerprint(key))
	return ok
}

// ofAnother says whether a key may be of another dataset of the shop.
func (a *Auditor) ofAnother(p *place, key string) bool {
	for _, d := range a.Datasets {
		if d != p.d && mayBe(d.Encoder(), p.shop, key) {
			return true
		}
	}
	return false
}

// mayBe says whether a key may be one that a shop has of a dataset.
func mayBe(enc *dataset.Encoder, shop, key string) bool {
	if pattern, ok := enc.Pattern(shop); ok {
		_, ok := pattern.Row(key)
		return ok
	}
	return enc.MayBe(shop, key)
}

// scan visits the keys of a cache that begin with a prefix, some of them perhaps twice.
func (a *Auditor) scan(ctx context.Context, client redis.UniversalClient, prefix string, visit func(ctx context.Context, key string) error) error {
	err := cache.Scan(ctx, client, prefix, func(ctx context.Context) error { return a.proceed(ctx, nil) }, func(ctx context.Context, keys []string) error {
		for _, key := range keys {
			if err := visit(ctx, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for extra keys: %w", err)
	}
	return nil
}

// Strays counts the keys of the cache, prewarm's own marks aside, that were not seen since the last Forget. It is for a cache
// that holds nothing else.
func (a *Auditor) Strays(ctx context.Context) error {
	slices.Sort(a.seen)
	strays := map[string]bool{}
	err := a.scan(ctx, a.Cache, "", func(_ context.Context, key string) error {
		if !strings.HasPrefix(key, redisconn.Own) && !a.isSeen(key) {
			strays[key] = true
		}
		return nil
	})
	a.Findings.Extra = int64(len(strays))
	return err
}
