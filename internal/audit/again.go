package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// mostTries is how often a key is looked at that changes each time.
	mostTries = 5
	// mostWaiting bounds what is put aside; with more, the oldest are waited for.
	mostWaiting = 20_000
	// together is how many keys are looked at again at a time.
	together = 100
	// fields is how many fields one HSET sets.
	fields = 1000
)

// suspect is a key that looked wrong.
type suspect struct {
	*place
	want  want
	since time.Time // when it was looked at
	tries int
}

// again looks at what was put aside and has waited long enough, or at all of it, waiting until it has.
func (a *Auditor) again(ctx context.Context, all bool) error {
	for len(a.waiting) > 0 {
		due := time.Until(a.waiting[0].since.Add(a.Settle))
		if due > 0 && !all && len(a.waiting) < mostWaiting {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(due):
		}
		if err := a.proceed(ctx, a.waiting[0].place); err != nil {
			return err
		}
		n := 1
		for n < min(len(a.waiting), a.atOnce(a.waiting[0].place)) && a.waiting[n].place == a.waiting[0].place && time.Since(a.waiting[n].since) >= a.Settle {
			n++
		}
		some := slices.Clone(a.waiting[:n])
		a.waiting = a.waiting[n:]
		if err := a.settle(ctx, some); err != nil {
			return fmt.Errorf("dataset %s of shop %s: %w", some[0].d.Spec().Name, some[0].shop, err)
		}
	}
	return nil
}

// atOnce is how many keys are looked at again in one go: a transaction of a Redis Cluster is of one slot.
func (a *Auditor) atOnce(p *place) int {
	if _, cluster := p.cache.Client.(*redis.ClusterClient); cluster && a.Repair {
		return 1
	}
	return together
}

// verdict is what a second look said.
type verdict struct {
	suspect
	now  want
	have have
	kind Kind
	what string

	moved bool // how long the key is needed has changed since it was looked at
}

// twice: it is as it was when it looked wrong, so that what is wrong is a finding.
func (v verdict) twice() bool { return !v.moved && v.now.same(v.want) }

// settle looks at keys of one place again. What is wrong as before is a finding.
func (a *Auditor) settle(ctx context.Context, some []suspect) error {
	var verdicts []verdict
	var err error
	if a.Repair {
		verdicts, err = a.repair(ctx, some)
	} else {
		verdicts, err = a.verdicts(ctx, some[0].cache.Client, some)
	}
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		switch {
		case v.kind == "":
		case v.twice():
			a.tally(v.place, func(f *Findings) {
				f.count(v.kind)
				if a.Repair {
					f.Repaired++
				}
			})
			if a.Found == nil {
				continue
			}
			if err := a.Found(ctx, Finding{v.kind, v.shop, v.d.Spec().Name, v.now.key, v.what, a.Repair}); err != nil {
				return err
			}
		case v.tries+1 >= mostTries:
			a.tally(v.place, (*Findings).changing)
		default:
			a.waiting = append(a.waiting, suspect{place: v.place, want: v.now, since: time.Now(), tries: v.tries + 1})
		}
	}
	return nil
}

// verdicts reads rows and keys again and judges them, by when they should expire as the ledger has it then. In a repair whoever has
// moved expiries since the ledger was asked has written to the keys as well.
func (a *Auditor) verdicts(ctx context.Context, on pipeliner, some []suspect) ([]verdict, error) {
	p := some[0].place
	wants := make([]want, len(some))
	for i, s := range some {
		wants[i] = s.want
	}
	began := time.Now()
	now, err := p.fresh(ctx, wants)
	a.spent(began, len(now))
	if err != nil {
		return nil, err
	}
	for i, w := range wants {
		wants[i] = now[w.key]
	}
	haves, err := a.look(ctx, on, p, wants)
	if err != nil {
		return nil, err
	}
	moved, moving, err := p.again(ctx, a)
	if err != nil {
		return nil, err
	}
	verdicts, judged := make([]verdict, len(some)), *p
	judged.moving = moving
	for i, s := range some {
		kind, what := a.judge(&judged, wants[i], haves[i])
		verdicts[i] = verdict{s, wants[i], haves[i], kind, what, moved}
	}
	return verdicts, nil
}

// repair judges keys, and puts right those that are wrong as before, unless anybody has written to one of them since: then
// nothing is done, and they are looked at again.
func (a *Auditor) repair(ctx context.Context, some []suspect) (verdicts []verdict, err error) {
	keys := make([]string, len(some))
	for i, s := range some {
		keys[i] = s.want.key
	}
	err = some[0].cache.Client.Watch(ctx, func(tx *redis.Tx) error {
		if verdicts, err = a.verdicts(ctx, tx, some); err != nil {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
			for _, v := range verdicts {
				if v.kind != "" && v.twice() {
					v.mend(ctx, pipe)
				}
			}
			return nil
		})
		return err
	}, keys...)
	if errors.Is(err, redis.TxFailedErr) {
		for _, s := range some {
			s.since, s.tries = time.Now(), s.tries+1
			if s.tries < mostTries {
				a.waiting = append(a.waiting, s)
			} else {
				a.tally(s.place, (*Findings).changing)
			}
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	return verdicts, nil
}

// mend puts one key right.
func (v verdict) mend(ctx context.Context, pipe redis.Pipeliner) {
	key, at := v.now.key, v.expiry.At([]byte(v.now.key))
	if v.kind == Extra || v.kind != WrongExpiry && (v.have.other || v.now.exact) {
		pipe.Unlink(ctx, key)
	}
	switch {
	case v.kind == Extra:
		return
	case v.kind == WrongExpiry:
	case v.now.hash == nil:
		pipe.Set(ctx, key, v.now.text, 0)
	default:
		if len(v.now.nulls) > 0 {
			pipe.HDel(ctx, key, v.now.nulls...)
		}
		for part := range slices.Chunk(pairs(v.now.hash), 2*fields) {
			pipe.HSet(ctx, key, part...)
		}
	}
	pipe.PExpireAt(ctx, key, at)
}

// pairs are a hash's fields and values by turns, in a fixed order.
func pairs(hash map[string]string) []any {
	names := make([]string, 0, len(hash))
	for name := range hash {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	all := make([]any, 0, 2*len(names))
	for _, name := range names {
		all = append(all, name, hash[name])
	}
	return all
}
