//go:build !race

package model

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/upkeep"
)

// atRestWithin is how long after the last fault everything must have ended. What takes longest is a dead pod (10 s), the
// reconciliation after that (10 s), another run's lease that lapses (10 s), and asynq's wait in between. A unit that stands
// still is taken over after a minute at the least, so what only that would save does not pass.
const atRestWithin = 55 * time.Second

var _ upkeep.Queue = (*taskQueue)(nil)

// evening plays the steps and then, without faults, to the end. It returns what was violated ("" for nothing), how long
// the rest took, and the trace.
func evening(t *testing.T, db *database, m *mutation, steps []step, trace bool) (failed string, rest time.Duration, lines []string) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{began: time.Now(), mut: m, tracing: trace, db: db, log: slog.New(slog.DiscardHandler)}
		w.redis = &redisServer{w: w, keys: map[string]stored{}}
		w.cache = &cacheServer{w: w, rows: map[string]cached{}, marks: map[string]mark{}}
		w.queue = &taskQueue{w: w, tasks: map[string]*task{}}
		w.ghost = newGhost(w, newTables(w))
		w.alert = alert.New(alert.Config{Log: w.log})
		if err := db.begin(w); err != nil {
			t.Fatal(err)
		}
		pool := sql.OpenDB(connector{w})
		w.store = ledger.New(pool, ledger.SQLite)
		w.play(steps)
		failed, rest, lines = w.failed, time.Since(w.began), w.lines
		w.end()
		_ = pool.Close()
	})
	return failed, rest, lines
}

func (w *world) play(steps []step) {
	for range 2 {
		w.newPod()
	}
	w.pass(100 * time.Millisecond)
	w.elect()
	w.announce(w.pods[0], broadcasts[0], false)
	for _, s := range steps {
		if w.failed != "" {
			return
		}
		w.take(s)
	}
	w.say("no more faults")
	w.late = nil
	for _, p := range w.alive() {
		if p.frozen {
			p.thaw()
		}
	}
	calm := time.Now()
	w.calm(calm)
	w.began = calm
}

// resume ends all pauses, as somebody would sooner or later.
func (w *world) resume() {
	p := w.alive()[0]
	ctx := as(p.ctx, w.person(p, "resume everything"))
	w.people.Go(func() {
		switches, _ := w.store.Switches(ctx)
		for _, s := range switches {
			_ = p.intake.Resume(ctx, s.Scope, somebody)
		}
	})
	w.settle()
}

// calm serves everything at once until nothing is left to do.
func (w *world) calm(since time.Time) {
	resumed := false
	for w.failed == "" {
		switch calls := w.open(); {
		case len(calls) > 0:
			w.let(calls[0], answered)
			continue
		case w.deliverOne(0, 0):
			continue
		case !resumed:
			resumed = true
			w.resume()
			continue
		}
		left := w.ghost.unfinished()
		busy := slices.ContainsFunc(w.alive(), func(p *pod) bool { return p.busy() > 0 })
		if left == "" && !busy {
			return
		}
		if time.Since(since) > atRestWithin {
			w.fail("%s after the last fault %s", atRestWithin, left)
			return
		}
		w.elect()
		w.pass(500 * time.Millisecond)
	}
}

// end lets every goroutine of the world end.
func (w *world) end() {
	for _, p := range w.alive() {
		if !p.dead {
			p.die(false)
		}
	}
	w.pass(time.Second) // loops that had not begun
	for id := range w.ghost.runs {
		runNames.Delete(id)
	}
	w.db.w = nil
}

// shrink takes steps out, and makes those that are left smaller, as long as what is left fails.
func shrink(steps []step, fails func([]step) bool) []step {
	for again := true; again; {
		again = false
		for size := len(steps) / 2; size > 0; size /= 2 {
			for at := 0; at+size <= len(steps); {
				if rest := slices.Delete(slices.Clone(steps), at, at+size); fails(rest) {
					steps, again = rest, true
				} else {
					at += size
				}
			}
		}
		for i := range steps {
			for _, s := range []step{{steps[i].op, 0, 0}, {steps[i].op, 0, steps[i].b}, {steps[i].op, steps[i].a, 0}, {steps[i].op, steps[i].a, 7}, {goOn, 0, 0}} {
				if smaller(s, steps[i]) {
					with := slices.Clone(steps)
					with[i] = s
					if fails(with) {
						steps, again = with, true
					}
				}
			}
		}
	}
	return steps
}

func smaller(a, b step) bool {
	size := func(s step) int { return int(s.op)*1000 + int(s.a) + int(s.b) }
	return size(a) < size(b)
}

func openDatabase(t *testing.T) *database {
	t.Helper()
	db, err := newDatabase(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return db
}
