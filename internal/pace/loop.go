package pace

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/tasks"
)

// Ledger is what the leader reads to decide.
type Ledger interface {
	Now(ctx context.Context) (time.Time, error)
	OpenWork(ctx context.Context) ([]ledger.OpenWork, error)
	Pods(ctx context.Context, dead time.Duration) ([]ledger.Pod, error)
	Rates(ctx context.Context, decode func(dataset string, state []byte) error) error
	Override(ctx context.Context) ([]byte, error)
	Baselines(ctx context.Context) ([]byte, error)
	SetBaselines(ctx context.Context, state any) error
}

// Channel carries what is decided from the leader to the pods.
type Channel interface {
	Publish(ctx context.Context, p Published) error
	Published(ctx context.Context) (*Published, error) // nil: nothing was published, or it is gone
}

// Listen reads the signals every second until the context ends. Every pod does, so that one that comes to lead knows the
// servers' usual levels; until they are known the width does not grow.
func Listen(ctx context.Context, w *guard.Watch) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		w.Sample(ctx, time.Now)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Felt is what the pods report besides what the watch is fed with.
type Felt struct {
	Alone    []string // sources that nobody else reads, in order
	Done     float64  // what was read since the last look, in bytes of keys and values and something for each row
	Spent    float64  // seconds that the servers took for that
	Planning bool     // shops were planned since then
}

// Loop decides the width while its pod leads. A Loop is for one goroutine.
type Loop struct {
	Ledger  Ledger
	Channel Channel
	Watch   *guard.Watch
	Feel    func(ctx context.Context, pods []string) Felt // feeds Watch with what the pods report; nil: nothing
	Bounds  config.Width
	Policy  Policy
	PodDead time.Duration // policy.pod_dead
	Self    string        // the pod
	Alerts  *alert.Dispatcher
	Log     *slog.Logger
	Move    func(ctx context.Context, moves []ledger.Move) error // moves planned starts

	term   int64
	state  State
	result Result           // of the last decision
	looks  int              // decisions, for what is not done at each
	late   map[string]doubt // by run, of those that were expected to be late
	pods   []string         // that lived at the last decision
	hand   *Override        // what somebody had set at the last decision
	felt   Felt             // since the last decision
	at     time.Time        // of it, by the ledger's clock
	lost   bool             // it was not published
}

const (
	// feelEvery is how often what the pods report is looked at. A signal that stops the work is obeyed at once: a crowd that
	// comes suddenly is felt within the second.
	feelEvery = 500 * time.Millisecond
	// keepEvery is how many decisions lie between two writings of the signals' usual levels: a minute.
	keepEvery = 30
)

// Run decides every Tick until the context ends. It goes on from what the leader before it has published.
func (l *Loop) Run(ctx context.Context) {
	if err := l.begin(ctx); err != nil && ctx.Err() == nil {
		l.Log.WarnContext(ctx, "begin to decide the width; the pods work with width.min until then", "error", err)
	}
	tick, feel := time.NewTicker(Tick), time.NewTicker(feelEvery)
	defer tick.Stop()
	defer feel.Stop()
	for due := true; ; {
		if due {
			if err := l.Once(ctx); err != nil && ctx.Err() == nil {
				l.Log.WarnContext(ctx, "decide the width; it is tried again", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			due = true
		case <-feel.C:
			due = l.feel(ctx)
		}
	}
}

// feel looks at the signals between two decisions, and says whether the next one is due: the work is to stop, or may go on,
// somebody begins or ends to read a source, or has set the width by hand.
func (l *Loop) feel(ctx context.Context) bool {
	was := l.felt.Alone
	if l.Feel != nil {
		ctx, cancel := context.WithTimeout(ctx, guard.ReadTime)
		defer cancel()
		felt := l.Feel(ctx, l.pods)
		l.felt = Felt{Alone: felt.Alone, Done: l.felt.Done + felt.Done, Spent: l.felt.Spent + felt.Spent, Planning: l.felt.Planning || felt.Planning}
	}
	stop := guard.Worst(l.Watch.Judge(time.Now())).Zone == guard.Stop
	return stop != l.state.Stopped || !slices.Equal(was, l.felt.Alone) || l.steered(ctx)
}

// steered says whether somebody has set the width, or set it free, since the last decision.
func (l *Loop) steered(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, guard.ReadTime)
	defer cancel()
	now, err := ReadOverride(ctx, l.Ledger)
	if err != nil || now == nil || l.hand == nil {
		return err == nil && now != l.hand
	}
	return *now != *l.hand
}

// begin takes the last leader's state over. Its own term is a time of the ledger's clock, which grows with each; it is 0 until
// all was read.
func (l *Loop) begin(ctx context.Context) error {
	l.state, l.result, l.term, l.at = State{}, Result{}, 0, time.Time{}
	now, err := l.Ledger.Now(ctx)
	if err != nil {
		return err
	}
	if err := Know(ctx, l.Ledger, l.Watch); err != nil {
		l.Log.WarnContext(ctx, "the signals' usual levels are learned anew", "error", err)
	}
	borne, err := readBorne(ctx, l.Ledger)
	if err != nil {
		l.Log.WarnContext(ctx, "what width the servers bear is learned anew", "error", err)
	}
	last, err := l.Channel.Published(ctx)
	if err != nil {
		return err
	}
	l.term = now.UnixMicro()
	if last != nil {
		l.state, l.result, l.term = last.State, last.Result, max(l.term, last.Term+1)
	}
	if borne.At.After(l.state.Borne.At) {
		l.state.Borne = borne
	}
	return nil
}

// Once decides once and publishes it.
func (l *Loop) Once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, Silence/2)
	defer cancel()
	if l.term == 0 {
		if err := l.begin(ctx); err != nil {
			return err
		}
	}
	in, open, works, pods, err := l.input(ctx)
	if err != nil {
		return err
	}
	l.pods, l.hand = pods, in.Override
	verdicts := l.Watch.Judge(time.Now())
	in.Guard, in.Busy, in.Near = guard.Worst(verdicts), guard.OfPods(verdicts), guard.NearOfPods(verdicts)
	in.Done, in.Spent, in.Planning = l.felt.Done, l.felt.Spent, l.felt.Planning
	l.felt = Felt{Alone: l.felt.Alone}
	if !l.at.IsZero() && l.Feel != nil {
		in.For = max(in.Now.Sub(l.at), 0)
	}
	l.at, in.Unheard = in.Now, l.lost
	was, stopped, gain := l.state.Width, l.state.Stopped, l.state.Gain
	var r Result
	l.state, r = Next(l.state, in)
	l.result = r
	l.state, _ = PodsWanted(l.state, in, r)
	l.Watch.Quiet(r.Width <= r.least || in.Demand.Slots == 0)
	if r.Width != was || l.state.Stopped != stopped {
		l.Log.InfoContext(ctx, "width", "slots", r.Width, "was", was, "pods", len(pods), "reason", r.Reason)
	}
	if now := l.state.Gain; now.ended(gain) {
		l.Log.InfoContext(ctx, "slots were tried", "slots", gain.Trying, "instead_of", gain.Base, "did_as_much", now.Tried, "row_took_as_long", now.Slower)
	}
	l.tell(ctx, in, r)
	if (l.looks+1)%keepEvery == 0 {
		if err := l.keep(ctx); err != nil {
			l.Log.WarnContext(ctx, "keep what was learned of the servers; it is tried again", "error", err)
		}
	}
	err = l.Channel.Publish(ctx, Published{
		Term: l.term, Leader: l.Self, At: in.Now, Pods: pods, Result: r, Demand: in.Demand, State: l.state, Guard: verdicts, Override: in.Override, Alone: l.felt.Alone,
	})
	l.lost = err != nil
	if l.looks++; err == nil && l.looks%planTicks == 1 {
		err = l.plan(ctx, in, open, works, r)
	}
	return err
}

func (l *Loop) input(ctx context.Context) (in Input, open []ledger.OpenWork, works []Work, pods []string, err error) {
	if in.Now, err = l.Ledger.Now(ctx); err != nil {
		return in, nil, nil, nil, err
	}
	living, err := l.Ledger.Pods(ctx, l.PodDead)
	if err != nil {
		return in, nil, nil, nil, err
	}
	for _, p := range living {
		pods = append(pods, p.ID)
	}
	if open, err = l.Ledger.OpenWork(ctx); err != nil {
		return in, nil, nil, nil, err
	}
	rates, err := ReadRates(ctx, l.Ledger)
	if err != nil {
		return in, nil, nil, nil, err
	}
	works = WorksOf(open, rates, in.Now, l.Policy)
	in.Bounds, in.Pods = l.Bounds, len(pods)
	if in.Override, err = ReadOverride(ctx, l.Ledger); err != nil {
		return in, nil, nil, nil, err
	}
	w, _ := bounds(in)
	in.Demand = Need(in.Now, works, l.Policy).On(float64(Known(in.Now, w, in.Pods, l.state, l.result).Ceiling), l.Policy)
	return in, open, works, pods, nil
}

// Know tells the watch what was learned of the signals before.
func Know(ctx context.Context, l interface {
	Baselines(ctx context.Context) ([]byte, error)
}, w *guard.Watch) error {
	text, err := l.Baselines(ctx)
	if err != nil || text == nil {
		return err
	}
	var known map[string]guard.Baseline
	if err := json.Unmarshal(text, &known); err != nil {
		return fmt.Errorf("read the signals' usual levels: %w", err)
	}
	delete(known, borneKey)
	w.Know(known)
	return nil
}

// ReadOverride is what somebody has set the width to, over or not; nil for nothing.
func ReadOverride(ctx context.Context, l Ledger) (*Override, error) {
	text, err := l.Override(ctx)
	if err != nil || text == nil {
		return nil, err
	}
	var o Override
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, fmt.Errorf("read the width's override: %w", err)
	}
	return &o, nil
}

// tell alerts when the guard stops the work, and when the ceiling keeps it from being done in time.
func (l *Loop) tell(ctx context.Context, in Input, r Result) {
	switch {
	case l.state.Stopped && !l.state.Kept: // a crowd that comes and goes is no news
		l.Alerts.Raise(ctx, alert.Alert{
			Name: alert.GuardStop, Severity: alert.Critical, Summary: "all work is stopped: " + in.Guard.Reason,
			Remedy: "it goes on by itself when the signal has come back; look at the server, and at guard in the configuration",
		})
	case r.Bound && in.Demand.Slots > float64(r.Ceiling): // what is done ahead of the deadlines may wait
		l.Alerts.Raise(ctx, alert.Alert{
			Name: alert.CeilingBinds, Severity: alert.Warning, Run: in.Demand.Run,
			Summary: fmt.Sprintf("%d slots are needed and %d can be used (%s): %s", r.Wanted, r.Ceiling, r.Binds, in.Demand.Reason),
			Remedy:  remedies[r.Binds],
		})
	}
}

var remedies = map[string]string{
	BindsMax:   "raise width.max, or announce earlier",
	BindsPods:  "add pods, give them more processors, or raise width.max_per_pod: the reason of the width says which",
	BindsGuard: "more pods do not help: the servers carry no more now; a later broadcast or a faster server does",
}

// ReadRates reads what the cluster has learned.
func ReadRates(ctx context.Context, l Ledger) (map[string]Rate, error) {
	rates := map[string]Rate{}
	err := l.Rates(ctx, func(dataset string, state []byte) error {
		var r Rate
		if json.Unmarshal(state, &r) == nil { // what cannot be read is learned again
			rates[dataset] = r
		}
		return nil
	})
	return rates, err
}

// WorksOf weighs open work; what belongs to one run stands together in it. The first run of a dataset of which nothing was
// learned today is a probe: an estimate that is wrong by a hundred is found out while there is time to begin the others earlier.
func WorksOf(open []ledger.OpenWork, rates map[string]Rate, now time.Time, p Policy) []Work {
	var works []Work
	probed := map[string]bool{}
	for _, o := range open {
		if len(works) == 0 || works[len(works)-1].Run != o.RunID {
			w := Work{Run: o.RunID, Start: o.PlannedStart, Deadline: o.Deadline, Key: o.Tier == tasks.TierKA, Begun: o.Begun || o.Urgent}
			if p.Lead > 0 {
				w.Earliest = o.StartsAt.Add(-p.Lead)
			}
			works = append(works, w)
		}
		w := &works[len(works)-1]
		if !probed[o.Dataset] {
			probed[o.Dataset] = true
			w.Probe = w.Probe || rates[o.Dataset].Unproven(now)
		}
		seconds, cautious := Weigh([]Part{{o.Dataset, rowsLeft(o.RowsEstimated, o.RowsDone)}}, rates, now)
		longest, _ := Weigh([]Part{{o.Dataset, max(o.Longest, 1)}}, rates, now)
		w.Seconds += seconds
		w.Cautious += cautious
		w.Units += o.Units
		w.Longest = max(w.Longest, longest)
	}
	return works
}
