package intake

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/tracing"
	"github.com/prewarm-go/prewarm/tasks"
)

// width is how many broadcasts of one request are looked at at a time: each costs a few short statements.
const width = 8

// Shops answers what the sources know about a shop.
type Shops interface {
	// CheckShop says why an id cannot be a shop's, by the type of the columns it would be compared with.
	CheckShop(id string) error
	// Known says whether any dataset has a row of the shop.
	Known(ctx context.Context, shop string) (bool, error)
	// Rows counts the rows of the paged datasets, at most about upTo.
	Rows(ctx context.Context, shop string, upTo int64) (int64, error)
	// Estimate is about how many rows each paged dataset has of a shop.
	Estimate(ctx context.Context, shop string) (map[string]int64, error)
}

// Flags are the ready flags in Redis.
type Flags interface {
	Ready(ctx context.Context, shop, broadcast string) (*cache.Ready, error)
	MoveReady(ctx context.Context, shop, broadcast string, startsAt, endsAt time.Time) error
	ClearReady(ctx context.Context, shop, broadcast string) error
}

// Leases frees a shop whose run is called off.
type Leases interface {
	Release(ctx context.Context, shop, run string) error
}

// Tasks puts runs and units into the queue.
type Tasks interface {
	Plan(ctx context.Context, run ledger.Run) error
	Units(ctx context.Context, units []ledger.Due) error
	// Nudge tells all pods that something was paused or called off. They find it by themselves too.
	Nudge(ctx context.Context) error
}

// Config is what an Intake works with; all fields are needed.
type Config struct {
	Ledger *ledger.Store
	Shops  Shops
	Flags  Flags
	Leases Leases
	Tasks  Tasks
	Alerts *alert.Dispatcher
	Policy config.Policy
	Log    *slog.Logger
	Count  func(outcome string) // a metric

	// Judge gives runs their verdicts, in their order; nil for one of which nothing is known. nil: there are no verdicts.
	Judge func(ctx context.Context, runs []Judged) ([]*Verdict, error)
}

// Intake turns requests into outcomes. It is safe for concurrent use.
type Intake struct{ Config }

// New is an Intake on c.
func New(c Config) *Intake { return &Intake{c} }

// Accept answers a request document; via says which way it came. Errors: ErrMalformed, ErrTooLarge, and what keeps the
// ledger or a source from answering; the same request may then be sent again.
func (in *Intake) Accept(ctx context.Context, body []byte, via string) (Answer, error) {
	return in.accept(ctx, body, via, false)
}

// accept is Accept; what comes by hand says nothing about when upstream announces.
func (in *Intake) accept(ctx context.Context, body []byte, via string, byHand bool) (_ Answer, err error) {
	ctx, span := tracing.Start(ctx, "request", tracing.Text("via", via))
	defer func() { span.End(err) }()
	requestID, items, err := parse(body)
	if err != nil {
		return Answer{}, err
	}
	id := newID()
	if requestID == "" {
		requestID = id
	}
	// Pods' clocks may differ; the ledger's decides what is over and what is urgent.
	now, err := in.Ledger.Now(ctx)
	if err != nil {
		return Answer{}, err
	}
	off, err := in.Ledger.Off(ctx)
	if err != nil {
		return Answer{}, err
	}
	span.Set(tracing.Text("request", requestID), tracing.Count("broadcasts", len(items)))
	outcomes := make([]Outcome, len(items))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(width)
	for i, it := range items {
		group.Go(func() (err error) {
			outcomes[i], err = in.one(gctx, it, off[it.ShopID], requestID, now)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Answer{}, err
	}
	in.judge(ctx, items, outcomes, now)
	accepted := 0
	for _, o := range outcomes {
		in.Count(o.Outcome)
		if o.Outcome == Accepted && !byHand {
			accepted++
		}
	}
	text, err := json.Marshal(outcomes)
	if err != nil {
		return Answer{}, fmt.Errorf("encode outcomes: %w", err)
	}
	if err := in.Ledger.SaveRequest(ctx, ledger.Request{ID: id, RequestID: requestID, Via: via, Broadcasts: len(items), Accepted: accepted, Outcomes: string(text)}); err != nil {
		return Answer{}, err
	}
	return Answer{RequestID: requestID, Outcomes: outcomes}, nil
}

// WarmNow is a shop warmed by hand. Zero times mean: on now, for four hours; an empty BroadcastID is made up.
type WarmNow struct {
	BroadcastID string
	StartsAt    time.Time
	EndsAt      time.Time
	Who         string
}

// byHandLasts is how long a broadcast lasts that is warmed by hand without saying so.
const byHandLasts = 4 * time.Hour

// WarmNow warms a shop on demand, whatever its size.
func (in *Intake) WarmNow(ctx context.Context, shop string, w WarmNow) (Outcome, error) {
	now := time.Now().UTC()
	if w.BroadcastID == "" {
		w.BroadcastID = "manual." + now.Format("20060102T150405.000")
	}
	if w.StartsAt.IsZero() {
		w.StartsAt = now
	}
	if w.EndsAt.IsZero() {
		w.EndsAt = w.StartsAt.Add(byHandLasts)
	}
	body, err := json.Marshal(tasks.Request{Broadcasts: []tasks.Broadcast{
		{BroadcastID: w.BroadcastID, ShopID: shop, StartsAt: w.StartsAt, EndsAt: w.EndsAt, Force: true},
	}})
	if err != nil {
		return Outcome{}, fmt.Errorf("encode request: %w", err)
	}
	a, err := in.accept(ctx, body, "by hand: "+first(short(w.Who), 50), true)
	if err != nil {
		return Outcome{}, err
	}
	return a.Outcomes[0], nil
}

const unknownShop = "unknown shop: no dataset has a row of it"

func newID() string {
	id := uuid.Must(uuid.NewV7())
	return hex.EncodeToString(id[:])
}

// one answers one broadcast; off is set if its shop is switched off. An error means that it could not be answered, not that it is bad.
func (in *Intake) one(ctx context.Context, it item, off *ledger.OffError, requestID string, now time.Time) (Outcome, error) {
	b := it.Broadcast
	out := Outcome{BroadcastID: short(b.BroadcastID), ShopID: short(b.ShopID)}
	if bad := in.invalid(it, now); bad != nil {
		out.Outcome, out.Reason = Invalid, bad.Error()
		return out, nil //nolint:nilerr // it is the outcome
	}
	if off != nil && !b.Cancelled {
		return in.skipOff(ctx, b, off, requestID, now, out)
	}
	if !b.Cancelled {
		// First the flag, as the cheapest answer there is. A flag that cannot be read is no reason to refuse: the ledger
		// knows as well.
		if r, err := in.Flags.Ready(ctx, b.ShopID, b.BroadcastID); err == nil && r != nil && sameTimes(b, r.StartsAt, r.EndsAt) {
			return in.duplicate(ctx, out, r.Run, "the run is ready already"), nil
		}
	}
	// The run may move between reading it and acting on it; each try reads it anew.
	const tries = 5
	for try := 1; ; try++ {
		done, err := in.act(ctx, b, requestID, now, out)
		if errors.As(err, &off) { // at this very moment
			return in.skipOff(ctx, b, off, requestID, now, out)
		}
		if err == nil || try == tries || !errors.Is(err, ledger.ErrState) {
			return done, err
		}
	}
}

// invalid says what is wrong with a broadcast, if anything.
func (in *Intake) invalid(it item, now time.Time) error {
	if it.err != nil {
		return it.err
	}
	if err := check(it.Broadcast, in.Policy, now); err != nil {
		return err
	}
	return in.Shops.CheckShop(it.ShopID)
}

func (in *Intake) act(ctx context.Context, b tasks.Broadcast, requestID string, now time.Time, out Outcome) (Outcome, error) {
	var run *ledger.Run
	switch r, err := in.Ledger.RunOf(ctx, b.ShopID, b.BroadcastID); {
	case err == nil:
		run = &r
		out.RunID = r.ID
		// The run may have been called off since, moved, or announced anew: what this task asked for was done then.
		if acted, err := in.Ledger.Acted(ctx, r.ID); err != nil || acted {
			out.Outcome, out.Reason = Duplicate, "the queue has delivered this announcement before, and it was heard"
			return out, err
		}
	case !errors.Is(err, ledger.ErrNotFound):
		return out, err
	}
	todo, reason := decide(b, run)
	out.Reason = reason
	times := timesOf(b, in.Policy, now)
	switch todo {
	case actDuplicate:
		return in.duplicate(ctx, out, run.ID, reason), nil
	case actNothing:
		out.Outcome = Cancelled
		return out, nil
	case actCancel:
		out.Outcome = Cancelled
		return out, in.Cancel(ctx, run.ID, ledger.By{Who: "request " + requestID, Why: "called off by upstream"})
	case actReschedule:
		return in.reschedule(ctx, *run, times, requestID, out)
	case actResume:
		out.Outcome = Resumed
		var moved *ledger.Times
		if !sameTimes(b, run.StartsAt, run.EndsAt) {
			moved = &times
		}
		if err := in.Ledger.Retry(ctx, run.ID, moved, ledger.By{Who: "request " + requestID, Why: "announced again"}); err != nil {
			return out, err
		}
		return out, in.enqueue(ctx, run.ID)
	case actCreate, actRevive:
	}
	return in.admit(ctx, b, run, times, requestID, out)
}

// admit makes a run of a new broadcast, or of one that had been skipped or cancelled, if its shop is to be warmed.
func (in *Intake) admit(ctx context.Context, b tasks.Broadcast, old *ledger.Run, t ledger.Times, requestID string, out Outcome) (Outcome, error) {
	known, err := in.Shops.Known(ctx, b.ShopID)
	if err != nil {
		return out, err
	}
	if !known {
		out.Outcome, out.Reason = Invalid, unknownShop
		return out, nil
	}
	var rows int64
	if !b.Force && b.Tier != tasks.TierKA {
		if rows, err = in.Shops.Rows(ctx, b.ShopID, in.Policy.WarmWhen.MinRows); err != nil {
			return out, err
		}
	}
	warm, reason := eligible(b, rows, in.Policy.WarmWhen.MinRows)
	if old != nil && !warm {
		out.Outcome, out.Reason = Skipped, reason
		return out, nil
	}
	if old != nil {
		out.Outcome = Accepted
		if err := in.Ledger.Revive(ctx, *old, t, b.Tier, b.Force, requestID); err != nil {
			return out, err
		}
		return out, in.enqueue(ctx, old.ID)
	}
	r := runOf(b, t, requestID)
	out.Outcome = Accepted
	if !warm {
		r.State, r.Reason, r.RowsEstimated = ledger.RunSkipped, reason, rows
		out.Outcome, out.Reason = Skipped, reason
	}
	run, created, err := in.Ledger.Create(ctx, r)
	if err != nil {
		return out, err
	}
	if !created { // somebody else was first: decide again on what they made
		return out, fmt.Errorf("%w: another request made it meanwhile", ledger.ErrState)
	}
	out.RunID = run.ID
	if !warm {
		return out, nil
	}
	return out, in.enqueue(ctx, run.ID)
}

// runOf is a new run of a broadcast.
func runOf(b tasks.Broadcast, t ledger.Times, requestID string) ledger.Run {
	return ledger.Run{
		ID: newID(), ShopID: b.ShopID, BroadcastID: b.BroadcastID, RequestID: requestID, Tier: b.Tier, Force: b.Force,
		StartsAt: t.StartsAt, EndsAt: t.EndsAt, Deadline: t.Deadline, PlannedStart: t.PlannedStart, Urgent: t.Urgent,
		State: ledger.RunPlanned,
	}
}

func (in *Intake) duplicate(ctx context.Context, out Outcome, run, reason string) Outcome {
	out.Outcome, out.RunID, out.Reason = Duplicate, run, reason
	in.Alerts.Raise(ctx, alert.Alert{
		Name: alert.Duplicate, Severity: alert.Info, Shop: out.ShopID, Run: run,
		Summary: fmt.Sprintf("broadcast %s of shop %s was announced again; %s", out.BroadcastID, out.ShopID, reason),
		Remedy:  "nothing was done; if the shop is to be warmed again, use `prewarm restart`",
	})
	return out
}

func (in *Intake) reschedule(ctx context.Context, run ledger.Run, t ledger.Times, requestID string, out Outcome) (Outcome, error) {
	out.Outcome = Rescheduled
	out.Reason = fmt.Sprintf("was %s to %s", stamp(run.StartsAt), stamp(run.EndsAt))
	if err := in.Ledger.Reschedule(ctx, run, t, requestID); err != nil {
		return out, err
	}
	// A run that is ready and was not announced yet, because its audit has not passed, say, is announced by those who may.
	if out.idle = run.State == ledger.RunReady; out.idle && !run.FlaggedAt.IsZero() {
		if err := in.Flags.MoveReady(ctx, run.ShopID, run.BroadcastID, t.StartsAt, t.EndsAt); err != nil {
			in.Log.WarnContext(ctx, "move ready flag", "run", run.ID, "shop", run.ShopID, "error", err)
		}
	}
	return out, in.enqueue(ctx, run.ID)
}

// enqueue puts into the queue what a run is waiting for: its plan, or its units. What cannot be enqueued now is found
// in the ledger and enqueued later, so the broadcast is accepted all the same.
func (in *Intake) enqueue(ctx context.Context, runID string) error {
	run, err := in.Ledger.Run(ctx, runID)
	if err != nil {
		return err
	}
	if run.PlannedAt.IsZero() {
		err = in.Tasks.Plan(ctx, run)
	} else {
		var due []ledger.Due
		if due, err = in.Ledger.WaitingOf(ctx, run); err == nil {
			err = in.Tasks.Units(ctx, due)
		}
	}
	if err != nil {
		in.Log.WarnContext(ctx, "enqueue run; it is enqueued again from the ledger", "run", runID, "shop", run.ShopID, "error", err)
	}
	return nil
}
