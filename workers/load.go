package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/lease"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/tracing"
	"github.com/prewarm-go/prewarm/tasks"
)

const (
	// serverAway is how long a task waits for a server that cannot be reached.
	serverAway = 5 * time.Second
	// shopBusy is how long a unit waits whose shop another run is warming.
	shopBusy = 5 * time.Second
	// afterward bounds what is written about a unit after its own context has ended. It outlasts the lock of a process that
	// froze in the middle of a transaction, which the server ends after 10 s.
	afterward = 20 * time.Second
)

// RetryPolicy says how often and when a failed attempt is repeated.
type RetryPolicy struct {
	config.Retry
	Definitive func(error) bool // a retry cannot help
}

// over says whether attempt was the last.
func (r RetryPolicy) over(err error, attempt int) bool {
	return attempt >= r.Attempts || r.Definitive(err)
}

// LoadHandler works on units: it claims one in the ledger, has it loaded, and records what became of it.
type LoadHandler struct {
	Pod      string
	Ledger   *ledger.Store
	Leases   *lease.Manager
	Loader   *load.Loader
	Settler  *load.Settler
	Datasets map[string]load.Dataset
	Expire   config.Expire
	Retry    RetryPolicy
	Alerts   *alert.Dispatcher
	Drain    <-chan struct{} // closed when the pod is being stopped
	Hold     func() string   // why no page may be begun now, in the whole cluster; "": go on. nil: never
	Metrics  *Metrics
	Log      *slog.Logger

	hands   hands
	paused  atomic.Pointer[string] // by whom everything is, as far as this pod knows; Look learns that it is over
	due     atomic.Pointer[dueRuns]
	running sync.WaitGroup
}

// Wait returns when no handler runs any more. asynq does not wait for one whose context has ended, and what it has still
// to write needs the ledger.
func (h *LoadHandler) Wait() { h.running.Wait() }

// ProcessTask implements asynq.Handler.
func (h *LoadHandler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	h.running.Add(1)
	defer h.running.Done()
	p, err := tasks.ParseLoad(t.Payload())
	if err != nil {
		return badTask(ctx, h.Alerts, t, err)
	}
	id, _ := asynq.GetTaskID(ctx)
	seq, err := tasks.SeqOf(id)
	if err != nil {
		return badTask(ctx, h.Alerts, t, err)
	}
	if err := h.await(ctx, beginWithin, nil); err != nil {
		return &later{in: time.Second, why: err.Error()}
	}
	task, err := h.look(ctx, p)
	if err != nil {
		return h.unavailable(err)
	}
	switch why := pointless(task, p.Epoch, seq); why {
	case "":
	case overEnded:
		return h.ended(ctx, task.Run)
	case overHeld:
		by := task.Paused.String()
		h.paused.Store(&by)
		return &later{in: time.Second, why: by}
	default:
		h.Metrics.drop(why)
		h.Log.DebugContext(ctx, "dropped task", "task", id, "run", p.Run, "unit", p.Unit, "why", why)
		return nil
	}
	if err := h.giveWay(ctx, task); err != nil {
		return err
	}
	err = h.hold(ctx, task.Run, task.Unit)
	if errors.Is(err, errTaken) {
		h.Metrics.drop(overState)
		return nil
	}
	return err
}

func (h *LoadHandler) draining() bool {
	select {
	case <-h.Drain:
		return true
	default:
		return false
	}
}

// look reads what the ledger says of a task; nil for one that it does not know.
func (h *LoadHandler) look(ctx context.Context, p tasks.Load) (*ledger.Task, error) {
	task, err := h.Ledger.Task(ctx, p.Run, p.Epoch, p.Unit)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil //nolint:nilnil // nothing to do
	}
	return &task, err
}

// Why a task is not worked on.
const (
	overUnknown    = "unknown"
	overEpoch      = "epoch"
	overState      = "state"
	overSuperseded = "superseded"
	overEnded      = "ended"
	overPaused     = "paused" // it is enqueued again when that ends
	// overHeld is no reason to drop it: everything is paused, and slots wait until that ends. To drop what is due, task by task, and to enqueue it all
	// again, would keep the ledger busy for seconds when everything is to be quiet.
	overHeld = "held"
)

// pointless is pure: why a task has nothing to do now, or "". The claim decides the same again, by compare-and-set; asked
// first, it saves the lease of a shop that nobody works on.
func pointless(t *ledger.Task, epoch, seq int) string {
	if t == nil {
		return overUnknown
	}
	run, unit := t.Run, t.Unit
	switch {
	case run.Epoch != epoch:
		return overEpoch
	case run.State == ledger.RunCancelled || run.State == ledger.RunSkipped:
		return overState
	case unit.State != ledger.UnitWaiting && unit.State != ledger.UnitFailed:
		return overState
	case unit.TaskSeq != seq:
		return overSuperseded
	case !run.EndsAt.After(t.Now):
		return overEnded
	case t.Paused != nil && t.Paused.Kind == ledger.ScopeAll:
		return overHeld
	case t.Paused != nil:
		return overPaused
	}
	return ""
}

// unavailable is for errors before anything was claimed: the unit is untouched.
func (h *LoadHandler) unavailable(err error) error {
	return &later{in: serverAway, why: err.Error()}
}

// ended calls a run off whose broadcast is over: what would be written now would expire at once or soon.
func (h *LoadHandler) ended(ctx context.Context, run ledger.Run) error {
	if run.State == ledger.RunReady || run.State == ledger.RunFailed {
		h.Metrics.drop(overEnded)
		return nil // it has its verdict; at most an expiry was left to be moved
	}
	h.Metrics.drop(overEnded)
	if err := h.Settler.Ended(ctx, run, h.Pod); err != nil {
		return h.unavailable(err)
	}
	return nil
}

// errTaken: the unit is not to be had any more.
var errTaken = errors.New("the unit was taken meanwhile")

// hold joins the shop's lease, claims the unit and has it loaded.
func (h *LoadHandler) hold(ctx context.Context, run ledger.Run, unit ledger.Unit) error {
	hold, err := h.Leases.Join(ctx, run.ShopID, run.ID, run.BroadcastID)
	if errors.Is(err, lease.ErrHeld) {
		return &later{in: shopBusy, shop: true, why: fmt.Sprintf("shop %s is being warmed by another run: %v", run.ShopID, err)}
	}
	if err != nil {
		return h.unavailable(err)
	}
	defer hold.Leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hand := h.hands.take(unitKey{run.ID, unit.Epoch, unit.Unit}, run.ShopID, unit.Dataset, cancel)
	defer h.hands.drop(hand)
	u, err := h.Ledger.Claim(ctx, run.ID, unit.Epoch, unit.Unit, unit.TaskSeq, h.Pod)
	if errors.Is(err, ledger.ErrNotClaimable) {
		h.letGo(ctx, run)
		return errTaken
	}
	if err != nil {
		return h.unavailable(err)
	}
	h.hands.claimed(hand, u.Claim)
	began := time.Now()
	stop := context.AfterFunc(hold.Context(), func() { cancel(context.Cause(hold.Context())) })
	defer stop()
	ctx, span := tracing.Start(ctx, "unit", tracing.Text("run", run.ID), tracing.Text("shop", run.ShopID), tracing.Text("dataset", u.Dataset),
		tracing.Count("unit", u.Unit), tracing.Count("claim", u.Claim))
	var spent load.Spent
	settled, err := h.load(ctx, run, u, hold, hand, &spent)
	span.Set(tracing.Text("outcome", outcomeOf(err)))
	span.End(unless(err, load.ErrHandBack))
	h.Metrics.attempt(u.Dataset, outcomeOf(err), time.Since(began))
	defer h.noteAttempt(ctx, u, outcomeOf(err), spent)
	return h.after(ctx, run, u, settled, err)
}

func (h *LoadHandler) load(ctx context.Context, run ledger.Run, u ledger.Unit, hold *lease.Hold, hand *hand, spent *load.Spent) (ledger.Settled, error) {
	d, ok := h.Datasets[u.Dataset]
	if !ok {
		return ledger.StillOpen, &unknownDataset{u.Dataset}
	}
	parts, err := h.Ledger.RunParts(ctx, run.ID)
	if err != nil {
		return ledger.StillOpen, err
	}
	// A shop may have a longer broadcast that is ready already; its keys must not expire earlier because of this one.
	ends, err := h.Ledger.Ends(ctx, run.ShopID, u.Dataset, h.Expire.AfterEnd)
	if err != nil {
		return ledger.StillOpen, err
	}
	if own := run.KeysUntil(h.Expire.AfterEnd); ends.Needed.Before(own) {
		ends.Needed = own
	}
	return h.Loader.Load(ctx, load.Job{
		Unit: u, Shop: run.ShopID, Dataset: d, Parts: load.Recent(parts[u.Dataset]), Spent: spent, Renew: hold.Renew, Proceed: func(ctx context.Context) error { return h.proceed(ctx, hand) },
		Expiry: cache.Expiry{Until: ends.Needed, Former: ends.Former, Jitter: h.Expire.Jitter},
	})
}

const (
	// beginWithin is how long a slot keeps a task that it may not begin, so that it begins at once when it may. The
	// reconciliation replaces tasks that are active and not claimed for 10 s: their pod may be dead.
	beginWithin = 8 * time.Second
	// holdFor is how long a slot keeps its unit while the cluster is held, before it hands it back.
	holdFor = 20 * time.Second
	// holdStep is how often it asks meanwhile.
	holdStep = 100 * time.Millisecond
)

// held says why nothing may be begun now.
func (h *LoadHandler) held() string {
	if by := h.paused.Load(); by != nil {
		return *by
	}
	if h.Hold == nil {
		return ""
	}
	return h.Hold()
}

// proceed waits while the cluster is held, and says why a unit must not go on to its next page.
func (h *LoadHandler) proceed(ctx context.Context, hand *hand) error {
	return h.await(ctx, holdFor, &hand.paused)
}

// await waits while the cluster is held, and says why work must be handed back: when it has waited for long, or must not
// wait. paused is of the unit; nil for none.
func (h *LoadHandler) await(ctx context.Context, most time.Duration, paused *atomic.Pointer[string]) error {
	for waited := time.Duration(0); ; waited += holdStep {
		if h.draining() {
			return fmt.Errorf("%w: the pod is being stopped", load.ErrHandBack)
		}
		if paused != nil {
			if why := paused.Load(); why != nil {
				return fmt.Errorf("%w: %s", load.ErrHandBack, *why)
			}
		}
		why := h.held()
		if why == "" {
			return nil
		}
		if waited >= most {
			return fmt.Errorf("%w: %s", load.ErrHandBack, why)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(holdStep):
		}
	}
}

// unknownDataset: the unit is of a dataset that this pod's configuration does not have.
type unknownDataset struct{ name string }

func (e *unknownDataset) Error() string {
	return fmt.Sprintf("dataset %s is not in this pod's configuration; give all pods the same datasets, then `prewarm retry`", e.name)
}
