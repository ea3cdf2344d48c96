package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/lease"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/tasks"
)

const (
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
	Metrics  *Metrics
	Log      *slog.Logger

	hands   hands
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
	run, unit, err := h.look(ctx, p)
	if err != nil {
		return h.unavailable(err)
	}
	switch why := pointless(run, unit, p.Epoch, seq, time.Now()); why {
	case "":
	case overEnded:
		return h.ended(ctx, *run)
	default:
		h.Metrics.drop(why)
		h.Log.DebugContext(ctx, "dropped task", "task", id, "run", p.Run, "unit", p.Unit, "why", why)
		return nil
	}
	select {
	case <-h.Drain:
		return &later{in: time.Second, why: "the pod is being stopped"}
	default:
	}
	return h.hold(ctx, *run, *unit, seq)
}

// look reads what the ledger says of a task; nil for what it does not know.
func (h *LoadHandler) look(ctx context.Context, p tasks.Load) (*ledger.Run, *ledger.Unit, error) {
	run, err := h.Ledger.Run(ctx, p.Run)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	unit, err := h.Ledger.Unit(ctx, p.Run, p.Epoch, p.Unit)
	if errors.Is(err, ledger.ErrNotFound) {
		return &run, nil, nil
	}
	return &run, &unit, err
}

// Why a task is dropped.
const (
	overUnknown    = "unknown"
	overEpoch      = "epoch"
	overState      = "state"
	overSuperseded = "superseded"
	overEnded      = "ended"
)

// pointless is pure: why a task has nothing to do, or "". The claim decides the same again, by compare-and-set; asked
// first, it saves the lease of a shop that nobody works on.
func pointless(run *ledger.Run, unit *ledger.Unit, epoch, seq int, now time.Time) string {
	switch {
	case run == nil || unit == nil && run.Epoch == epoch:
		return overUnknown
	case run.Epoch != epoch:
		return overEpoch
	case run.State == ledger.RunCancelled || run.State == ledger.RunSkipped:
		return overState
	case unit.State != ledger.UnitWaiting && unit.State != ledger.UnitFailed:
		return overState
	case unit.TaskSeq != seq:
		return overSuperseded
	case !run.EndsAt.After(now):
		return overEnded
	}
	return ""
}

// unavailable is for errors before anything was claimed: the unit is untouched.
func (h *LoadHandler) unavailable(err error) error {
	return &later{in: backoff(h.Retry.Backoff, 1), why: err.Error()}
}

// ended calls a run off whose broadcast is over: what would be written now would expire at once or soon.
func (h *LoadHandler) ended(ctx context.Context, run ledger.Run) error {
	if run.State == ledger.RunReady || run.State == ledger.RunFailed {
		h.Metrics.drop(overEnded)
		return nil // it has its verdict; at most an expiry was left to be moved
	}
	h.Metrics.drop(overEnded)
	err := h.Ledger.Cancel(ctx, run.ID, "the broadcast ended before the shop was ready")
	if err != nil && !errors.Is(err, ledger.ErrState) {
		return h.unavailable(err)
	}
	h.Alerts.Raise(ctx, alert.Alert{
		Name: alert.BroadcastEnded, Severity: alert.Warning, Shop: run.ShopID, Run: run.ID,
		Summary: fmt.Sprintf("broadcast %s of shop %s ended before the shop was ready", run.BroadcastID, run.ShopID),
		Remedy:  "nothing is left to do for it; see why it took so long with `prewarm run " + run.ID + "`",
	})
	return nil
}

// hold joins the shop's lease, claims the unit and has it loaded.
func (h *LoadHandler) hold(ctx context.Context, run ledger.Run, unit ledger.Unit, seq int) error {
	hold, err := h.Leases.Join(ctx, run.ShopID, run.ID, run.BroadcastID)
	if errors.Is(err, lease.ErrHeld) {
		return &later{in: shopBusy, why: fmt.Sprintf("shop %s is being warmed by another run: %v", run.ShopID, err)}
	}
	if err != nil {
		return h.unavailable(err)
	}
	defer hold.Leave()
	key := unitKey{run.ID, unit.Epoch, unit.Unit}
	h.hands.take(key)
	defer h.hands.drop(key)
	u, err := h.Ledger.Claim(ctx, run.ID, unit.Epoch, unit.Unit, seq, h.Pod)
	if errors.Is(err, ledger.ErrNotClaimable) {
		h.Metrics.drop(overState)
		h.letGo(ctx, run)
		return nil
	}
	if err != nil {
		return h.unavailable(err)
	}
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(hold.Context(), func() { cancel(context.Cause(hold.Context())) })
	defer stop()
	settled, err := h.load(ctx, run, u, hold)
	h.Metrics.attempt(u.Dataset, outcomeOf(err), time.Since(began))
	return h.after(ctx, run, u, settled, err)
}

func (h *LoadHandler) load(ctx context.Context, run ledger.Run, u ledger.Unit, hold *lease.Hold) (ledger.Settled, error) {
	d, ok := h.Datasets[u.Dataset]
	if !ok {
		return ledger.StillOpen, &unknownDataset{u.Dataset}
	}
	// A shop may have a longer broadcast that is ready already; its keys must not expire earlier because of this one.
	ends, err := h.Ledger.NeededUntil(ctx, run.ShopID)
	if err != nil {
		return ledger.StillOpen, err
	}
	if ends.Before(run.EndsAt) {
		ends = run.EndsAt
	}
	return h.Loader.Load(ctx, load.Job{
		Unit: u, Shop: run.ShopID, Dataset: d, Renew: hold.Renew, Drain: h.Drain,
		Expiry: cache.Expiry{EndsAt: ends, After: h.Expire.AfterEnd, Jitter: h.Expire.Jitter},
	})
}

// unknownDataset: the unit is of a dataset that this pod's configuration does not have.
type unknownDataset struct{ name string }

func (e *unknownDataset) Error() string {
	return fmt.Sprintf("dataset %s is not in this pod's configuration; give all pods the same datasets, then `prewarm retry`", e.name)
}

// Outcomes of an attempt at a unit.
const (
	attemptDone     = "done"
	attemptHandBack = "handed_back"
	attemptFenced   = "fenced"
	attemptFailed   = "failed"
)

func outcomeOf(err error) string {
	switch {
	case err == nil:
		return attemptDone
	case errors.Is(err, load.ErrHandBack), errors.Is(err, lease.ErrLost):
		return attemptHandBack
	case ledger.Gone(err):
		return attemptFenced
	}
	return attemptFailed
}

// after records what became of an attempt. The attempt's own context may have ended, so this has one of its own.
func (h *LoadHandler) after(ctx context.Context, run ledger.Run, u ledger.Unit, settled ledger.Settled, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterward)
	defer cancel()
	switch outcomeOf(err) {
	case attemptDone:
		if err := h.Settler.Settle(ctx, run.ID, settled); err != nil {
			// The unit is done all the same; the reconciliation sets the flag.
			h.Log.WarnContext(ctx, "settle run", "run", run.ID, "shop", run.ShopID, "error", err)
		}
		return nil
	case attemptFenced:
		h.Metrics.drop(overSuperseded)
		h.letGo(ctx, run)
		return nil
	case attemptHandBack:
		return h.handBack(ctx, run, u, err)
	}
	return h.failed(ctx, run, u, err)
}

func (h *LoadHandler) handBack(ctx context.Context, run ledger.Run, u ledger.Unit, why error) error {
	err := h.Ledger.HandBack(ctx, u)
	if ledger.Gone(err) {
		h.letGo(ctx, run)
		return nil
	}
	if err != nil {
		h.Log.WarnContext(ctx, "hand unit back; it is taken over when the pod is gone", "run", u.RunID, "unit", u.Unit, "error", err)
	}
	return &later{in: time.Second, why: why.Error()}
}

// letGo frees the shop if the run has ended meanwhile: the lease was released then, and joining it or the last page's
// renewal may have taken it again, which would keep the shop's next run waiting until it lapses.
func (h *LoadHandler) letGo(ctx context.Context, run ledger.Run) {
	now, err := h.Ledger.Run(ctx, run.ID)
	if err == nil && (now.State == ledger.RunPlanned || now.State == ledger.RunWarming) {
		return
	}
	if err == nil {
		err = h.Leases.Release(ctx, run.ShopID, run.ID)
	}
	if err != nil {
		h.Log.WarnContext(ctx, "release lease; it lapses by itself", "run", run.ID, "shop", run.ShopID, "error", err)
	}
}

func (h *LoadHandler) failed(ctx context.Context, run ledger.Run, u ledger.Unit, cause error) error {
	final := h.Retry.over(cause, u.Attempts)
	settled, err := h.Ledger.Fail(ctx, u, cause.Error(), final)
	if ledger.Gone(err) {
		h.letGo(ctx, run)
		return nil
	}
	if err != nil {
		// The ledger does not answer: the unit stays `running` under this pod until somebody finds that nobody works on it.
		h.Log.WarnContext(ctx, "record failure", "run", u.RunID, "unit", u.Unit, "cause", cause, "error", err)
		return &failed{in: backoff(h.Retry.Backoff, u.Attempts), err: cause}
	}
	h.Alerts.Raise(ctx, alert.Alert{
		Name: alert.UnitFailed, Severity: alert.Warning, Shop: run.ShopID, Run: run.ID,
		Summary: fmt.Sprintf("shop %s, %s, unit %d, attempt %d of %d: %v", run.ShopID, u.Dataset, u.Unit, u.Attempts, h.Retry.Attempts, cause),
		Remedy:  "it is retried from where it stopped as long as attempts are left",
	})
	if err := h.Settler.Settle(ctx, run.ID, settled); err != nil {
		h.Log.WarnContext(ctx, "settle run", "run", run.ID, "shop", run.ShopID, "error", err)
	}
	if final {
		return fmt.Errorf("%w: %w", cause, asynq.SkipRetry)
	}
	return &failed{in: backoff(h.Retry.Backoff, u.Attempts), err: cause}
}
