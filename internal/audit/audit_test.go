package audit_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/audit"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func (p *place) audit(t testing.TB, a *audit.Auditor, shops ...string) audit.Findings {
	t.Helper()
	for _, shop := range shops {
		require.NoError(t, a.Shop(t.Context(), audit.Shop{ID: shop, Ends: ends}))
	}
	require.NoError(t, a.Extras(t.Context()))
	return a.Findings
}

// damage puts one fault of each kind, and of each form of value, into the cache.
func (p *place) damage(t testing.TB) map[string]audit.Kind {
	t.Helper()
	ctx, r := t.Context(), p.redis
	in := time.Until(ends)
	for _, do := range []error{
		r.Del(ctx, "user:1:3", "product:1:6", "shop:1:staff").Err(),
		r.SetArgs(ctx, "user:1:6", "{}", setKeepTTL).Err(),
		r.HSet(ctx, "product:1:9", "nick", "x").Err(),
		r.HSet(ctx, "product:1:6000", "note", "should be NULL").Err(),
		r.HSet(ctx, "shop:1:roles", "99", "{}").Err(),
		r.Set(ctx, "user:1:4", "no such row", in).Err(),
		r.Set(ctx, "user:1:21", "a deleted row", in).Err(),
		r.HSet(ctx, "product:1:1", "a", "b").Err(),
		r.PExpireAt(ctx, "user:1:9", time.Now().Add(time.Minute)).Err(),
		r.Persist(ctx, "product:1:12").Err(),
		r.Persist(ctx, "shop:1").Err(),
		r.Del(ctx, "user:1:12").Err(), r.HSet(ctx, "user:1:12", "of", "another type").Err(),
		// What is none of prewarm's business:
		r.Set(ctx, "other:1:3", "x", 0).Err(), r.Set(ctx, "user:1:settings", "x", 0).Err(), r.Set(ctx, "user:77:3", "another shop", 0).Err(),
		r.HSet(ctx, "product:1:15", "mine", "a field of the application's").Err(),
	} {
		require.NoError(t, do)
	}
	return map[string]audit.Kind{
		"user:1:3": audit.Missing, "product:1:6": audit.Missing, "shop:1:staff": audit.Missing,
		"user:1:6": audit.Different, "product:1:9": audit.Different, "product:1:6000": audit.Different, "shop:1:roles": audit.Different, "user:1:12": audit.Different,
		"user:1:4": audit.Extra, "user:1:21": audit.Extra, "product:1:1": audit.Extra,
		"user:1:9": audit.WrongExpiry, "product:1:12": audit.WrongExpiry, "shop:1": audit.WrongExpiry,
	}
}

func kinds(found []audit.Finding) map[string]audit.Kind {
	all := map[string]audit.Kind{}
	for _, f := range found {
		all[f.Key] = f.Kind
	}
	return all
}

func TestEveryFaultIsFoundAndNothingElseIsTouched(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.Redis(t).URL, specs)
	p.seed(t, 1, 2000)
	p.seed(t, 2, 30)
	p.load(t, "1")
	p.load(t, "2")
	clean := p.state(t)
	f := p.audit(t, p.auditor(nil), "1", "2")
	require.True(t, f.Clean(), "%+v", f)
	require.EqualValues(t, 1800+2000+3+27+30+3, f.Keys)

	want := p.damage(t)
	broken := p.state(t)
	var found []audit.Finding
	f = p.audit(t, p.auditor(&found), "1", "2")
	require.Equal(t, want, kinds(found))
	require.EqualValues(t, len(want), f.Wrong())
	require.Equal(t, broken, p.state(t), "without repair nothing is written")

	found = nil
	a := p.auditor(&found)
	a.Repair = true
	f = p.audit(t, a, "1", "2")
	require.Equal(t, want, kinds(found))
	require.EqualValues(t, len(want), f.Repaired)
	now := p.state(t)
	for key, text := range broken {
		if _, wrong := want[key]; !wrong {
			require.Equal(t, text, now[key], "%s was touched", key)
		}
	}
	for key, kind := range want {
		require.Equal(t, clean[key], now[key], "%s was %s", key, kind)
	}
	f = p.audit(t, p.auditor(nil), "1", "2")
	require.True(t, f.Clean(), "%+v", f)
}

func TestAnEmptyCacheIsMadeWholeByRepair(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.Redis(t).URL, specs)
	p.seed(t, 1, 700)
	p.load(t, "1")
	clean := p.state(t)
	require.NoError(t, p.redis.FlushDB(t.Context()).Err())
	a := p.auditor(nil)
	a.Repair = true
	f := p.audit(t, a, "1")
	require.Equal(t, f.Keys, f.Missing)
	now := p.state(t)
	for key := range clean {
		if key[0] == 'p' && key[:3] == "pre" {
			delete(clean, key) // the loader's marks
		}
	}
	require.Equal(t, clean, now)
}

func TestWhatTheApplicationMayWriteIsNotWrong(t *testing.T) {
	t.Parallel()
	newerUsers, missing := specs[0], specs[0]
	newerUsers.Write = dataset.WriteNewer
	missing.Write, missing.Name, missing.Key = dataset.WriteMissing, "m", "m:{shop}:{user_id}"
	p := newPlace(t, testenv.Redis(t).URL, []dataset.Spec{newerUsers, missing})
	p.seed(t, 1, 100)
	p.load(t, "1")
	ctx, r := t.Context(), p.redis
	row := func(at string) string { return fmt.Sprintf(`{"user_id":9,"updated_at":"%s","mine":[1]}`, at) }
	require.NoError(t, r.Set(ctx, "user:1:9", row("2026-11-01 10:00:00.000002"), 0).Err(), "newer than the row")
	require.NoError(t, r.Set(ctx, "user:1:12", row("2026-11-01 10:00:00.000000"), time.Until(ends)).Err(), "older")
	require.NoError(t, r.Set(ctx, "user:1:15", "no version", time.Until(ends)).Err())
	require.NoError(t, r.Set(ctx, "m:1:9", "the application's", 0).Err())
	require.NoError(t, r.Set(ctx, "m:1:4", "a row that does not exist, the application's", time.Hour).Err())
	require.NoError(t, r.SetArgs(ctx, "m:1:12", "{}", setKeepTTL).Err(), "prewarm's by its expiry")
	var found []audit.Finding
	a := p.auditor(&found)
	a.Repair = true
	p.audit(t, a, "1")
	require.Equal(t, map[string]audit.Kind{"user:1:12": audit.Different, "user:1:15": audit.Different, "m:1:12": audit.Different}, kinds(found))
}

func TestWhileExpiriesAreMovedTheFormerOnesAreRight(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.Redis(t).URL, specs)
	p.seed(t, 1, 20)
	p.load(t, "1")
	a := p.auditor(nil)
	s := audit.Shop{ID: "1", Ends: ends.Add(time.Hour), Former: []time.Time{ends}, Moving: true}
	require.NoError(t, a.Shop(t.Context(), s))
	require.NoError(t, a.Extras(t.Context()))
	require.True(t, a.Findings.Clean(), "%+v", a.Findings)
	s.Moving = false
	require.NoError(t, a.Shop(t.Context(), s))
	require.NoError(t, a.Rest(t.Context()))
	require.EqualValues(t, 18+20+3, a.Findings.WrongExpiry)
}

// moved is a shop whose end moves by an hour when the ledger is asked for the second time. The keys are moved by then, or at that moment,
// as the ledger is asked: that is behind the look at them.
func (p *place) moved(t *testing.T, at int) audit.Shop {
	t.Helper()
	later, asked := expiry, map[string]int{}
	later.Until = expiry.Until.Add(time.Hour)
	move := func() {
		for key := range p.state(t) {
			require.NoError(t, p.redis.PExpireAt(t.Context(), key, later.At([]byte(key))).Err())
		}
	}
	if at == 1 {
		move()
	} else {
		for key := range p.state(t) {
			require.NoError(t, p.redis.PExpireAt(t.Context(), key, expiry.At([]byte(key)).Add(time.Minute)).Err()) // wrong, and so suspect
		}
	}
	return audit.Shop{ID: "1", Now: func(_ context.Context, dataset string) (audit.State, error) {
		if asked[dataset]++; asked[dataset] == 1 {
			return audit.State{Ends: ledger.Ends{Needed: expiry.Until, Former: []time.Time{expiry.Until}}}, nil
		}
		if at == 2 {
			move()
			at = 0
		}
		return audit.State{Ends: ledger.Ends{Needed: later.Until, Former: []time.Time{expiry.Until, later.Until}}}, nil
	}}
}

func TestAnEndThatMovesMeanwhileIsNotTakenBack(t *testing.T) {
	t.Parallel()
	for _, repair := range []bool{true, false} {
		for at := 1; at <= 2; at++ {
			t.Run(fmt.Sprintf("repair %v, moved at %d", repair, at), func(t *testing.T) {
				t.Parallel()
				p := newPlace(t, testenv.OwnRedis(t).URL, specs)
				p.seed(t, 1, 100)
				p.load(t, "1")
				a := p.auditor(nil)
				a.Repair = repair
				require.NoError(t, a.Shop(t.Context(), p.moved(t, at)))
				require.NoError(t, a.Extras(t.Context()))
				require.True(t, a.Findings.Clean(), "%+v", a.Findings)
				later := expiry
				later.Until = expiry.Until.Add(time.Hour)
				for key := range p.state(t) {
					require.Equal(t, later.At([]byte(key)).UnixMilli(), p.redis.PExpireTime(t.Context(), key).Val().Milliseconds(), key)
				}
			})
		}
	}
}

func TestOfAShopThatIsNotWarmAnyMoreNothingIsSaidAndNothingRepaired(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.Redis(t).URL, specs)
	p.seed(t, 1, 10)
	a, asked := p.auditor(nil), map[string]int{}
	a.Repair = true
	require.NoError(t, a.Shop(t.Context(), audit.Shop{ID: "1", Now: func(_ context.Context, dataset string) (audit.State, error) {
		asked[dataset]++
		return audit.State{Ends: ledger.Ends{Needed: expiry.Until}, Cold: asked[dataset] > 1}, nil
	}}))
	require.NoError(t, a.Extras(t.Context()))
	require.True(t, a.Findings.Clean(), "%+v", a.Findings)
	require.Equal(t, a.Findings.Keys, a.Findings.Changing)
	require.Empty(t, p.state(t))
}

func TestOnlyTheGivenRangesAndDatasetsAreCompared(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.Redis(t).URL, specs)
	p.seed(t, 1, 100)
	a := p.auditor(nil)
	require.NoError(t, a.Shop(t.Context(), audit.Shop{ID: "1", Ends: ends, Datasets: map[string]bool{"products": true},
		Ranges: map[string][]audit.Range{"products": {{From: `["30"]`, To: `["60"]`}}}}))
	require.NoError(t, a.Rest(t.Context()))
	require.EqualValues(t, 10, a.Findings.Missing)
}

// An audit beside writers that change rows and bring them into the cache a little later finds nothing.
func TestRowsThatChangeMeanwhileAreNotCalledWrong(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.Redis(t).URL, specs[:1])
	p.seed(t, 1, 3000)
	p.load(t, "1")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			id := (i*37%3000 + 1) * 3
			_, _ = p.db.ExecContext(ctx, "UPDATE users SET level = ?, deleted = ? WHERE shop_id = 1 AND user_id = ?", i, i/3%2, id)
			key := fmt.Sprintf("user:1:%d", id)
			if i/3%2 == 1 {
				p.redis.Del(ctx, key)
				continue
			}
			var nick string
			if p.db.QueryRowContext(ctx, "SELECT nick FROM users WHERE shop_id = 1 AND user_id = ?", id).Scan(&nick) == nil {
				w := map[string]string{}
				w[key] = fmt.Sprintf(`{"user_id":%d,"nick":"nick \"%d\"","level":%d,"updated_at":"2026-11-01 10:00:00.000001"}`, id, id/3, i)
				at := expiry.At([]byte(key))
				p.redis.Do(ctx, "set", key, w[key], "pxat", at.UnixMilli())
			}
		}
	}()
	a := p.auditor(nil)
	a.Settle, a.Repair = 100*time.Millisecond, true
	for range 3 {
		p.audit(t, a, "1")
	}
	stop()
	<-ended
	require.True(t, a.Findings.Clean(), "%+v", a.Findings)
}

func TestAnAuditEndsWithItsLeaveToProceed(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testenv.Redis(t).URL, specs[:1])
	p.seed(t, 1, 3000)
	a, n := p.auditor(nil), atomic.Int64{} // pages are read beside those that are compared
	a.Proceed = func(context.Context, string, string) error {
		if n.Add(1) > 2 {
			return context.Canceled
		}
		return nil
	}
	require.ErrorIs(t, a.Shop(t.Context(), audit.Shop{ID: "1", Ends: ends}), context.Canceled)
}
