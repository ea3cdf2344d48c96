package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/pace"
	"github.com/prewarm-go/prewarm/internal/plan"
	"github.com/prewarm-go/prewarm/internal/source"
)

const (
	// walkLeast is how many index entries a stride has at least: a statement by itself costs a MariaDB 0.09 ms, as much as passing 270. What the
	// live load feels is a stride, whether they come one after another or with rests between them, so that it is better to be done soon: with strides
	// of 500 and one at a time fifteen million entries took 26 s at three times the idle p99.
	walkLeast = 1000
	// walkTurns is how many are under way in all pods together at least.
	walkTurns = 2
	// walkHold is how long a plan in hand waits while the guard says stop, before it is left and made anew later.
	walkHold = 20 * time.Second
	// walkStep is how often it asks meanwhile.
	walkStep = 100 * time.Millisecond
	// walkRest is the shortest rest, as a timer of less takes a millisecond too, and walkRestMost the longest: a stride that took long is no reason to
	// come to a standstill.
	walkRest     = 5 * time.Millisecond
	walkRestMost = time.Second
)

// entriesOfRow is how many entries of an index are passed in the time that a row is read in: 0.33 µs and 0.9 µs, where the index holds the rows.
const entriesOfRow = 3

// walks has the indexes walked along for announcements and plans as gently as pages are read: no stride takes longer than policy.page_time,
// or than walkLeast entries or the pages do.
// For plans it is one at a time at a source in each pod, and in all pods together walkTurns or one for every entriesOfRow slots, so that plans keep up
// with slots; and none while the guard says stop.
type walks struct {
	pages  *pages                   // knows the way to the sources, what the guard says, and how large pages are
	most   int                      // entries of a stride
	width  func() (pods, slots int) // that share the sources
	walked func()                   // tells that a stride was made for a plan
	ending <-chan struct{}

	mu      sync.Mutex
	strides map[string]pace.Pager    // of each dataset
	turns   map[string]chan struct{} // of each source
	owed    map[string]time.Duration // to each source: rest that was not taken yet
}

func (a *App) newWalks() *walks {
	return &walks{
		pages: a.pages, most: a.cfg.Policy.UnitRows, walked: a.felt.walked, ending: a.drain, strides: map[string]pace.Pager{}, turns: map[string]chan struct{}{}, owed: map[string]time.Duration{},
		width: func() (pods, slots int) {
			if last := a.pacer.now().last; last != nil {
				return len(last.Pods), last.Result.Width
			}
			return 1, 1
		},
	}
}

// asked is how a dataset is walked along for an announcement, which somebody waits for: a few strides, at once.
func (w *walks) asked(dataset string) source.Walk {
	return func(_ context.Context, most int64, step func(int64) (time.Duration, error)) error {
		_, err := w.step(dataset, most, step)
		return err
	}
}

// planned is how a dataset is walked along for plans.
func (w *walks) planned(dataset string) source.Walk {
	server := w.pages.of[dataset]
	turn := w.turn(server)
	return func(ctx context.Context, most int64, step func(int64) (time.Duration, error)) error {
		if err := w.wait(ctx); err != nil {
			return err
		}
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		took, err := w.step(dataset, most, step)
		if err != nil {
			return err
		}
		w.walked()
		return rest(ctx, w.rests(server, took))
	}
}

// step has one stride done, and says what it took.
func (w *walks) step(dataset string, most int64, step func(int64) (time.Duration, error)) (time.Duration, error) {
	entries := w.stride(dataset, most)
	took, err := step(entries)
	if err == nil {
		w.learn(dataset, entries, took)
	}
	return took, err
}

func (w *walks) turn(server string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turns[server] == nil {
		w.turns[server] = make(chan struct{}, 1)
	}
	return w.turns[server]
}

// held says why no plan is to be begun now, or "".
func (w *walks) held() string {
	if w.pages.zone() == guard.Stop {
		return "the guard says stop"
	}
	return ""
}

// wait waits while a plan must not go on.
func (w *walks) wait(ctx context.Context) error {
	for waited := time.Duration(0); ; waited += walkStep {
		why := w.held()
		if why == "" {
			return nil
		}
		select {
		case <-w.ending:
			return fmt.Errorf("%w: the pod is being stopped", plan.ErrHeld)
		default:
		}
		if waited >= walkHold {
			return fmt.Errorf("%w: %s", plan.ErrHeld, why)
		}
		if err := rest(ctx, walkStep); err != nil {
			return err
		}
	}
}

func rest(ctx context.Context, long time.Duration) error {
	if long <= 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(long):
		return nil
	}
}

// stride is how many entries the next statement passes: of those that are left as many as the others will.
func (w *walks) stride(dataset string, left int64) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, begun := w.strides[dataset]
	if !begun {
		p = pace.Pager{}.First(w.pages.start, w.bounds(dataset))
		w.strides[dataset] = p
	}
	n := (left-1)/int64(p.Rows) + 1 // strides
	return (left-1)/n + 1
}

// learn sizes the next stride by what one took.
func (w *walks) learn(dataset string, entries int64, took time.Duration) {
	w.pages.mu.Lock()
	way := w.pages.way(w.pages.of[dataset])
	w.pages.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.strides[dataset], _ = w.strides[dataset].Next(pace.Page{Rows: int(entries), Time: took, RoundTrip: way}, w.pages.zone(), w.bounds(dataset))
}

// rests says how long to rest now, after a stride, so that the other pods have their turns.
func (w *walks) rests(server string, took time.Duration) time.Duration {
	pods, slots := w.width()
	w.mu.Lock()
	defer w.mu.Unlock()
	turns := max((slots+entriesOfRow-1)/entriesOfRow, walkTurns) // of all pods at a time
	owed := w.owed[server] + max(took*time.Duration(pods)/time.Duration(turns)-took, 0)
	if owed < walkRest {
		w.owed[server] = owed
		return 0
	}
	w.owed[server] = 0
	return min(owed, walkRestMost)
}

func (w *walks) bounds(dataset string) pace.Pages {
	b := pace.Pages{Target: w.pages.bounds.Target, Min: max(walkLeast, (entriesOfRow-1)*w.pages.Rows(dataset, "")), Max: max(w.most, walkLeast)}
	if w.pages.alone(w.pages.of[dataset]) {
		b.Alone = b.Min
	}
	return b
}
