package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
)

const (
	// tick is how often the leader looks for audits.
	tick = time.Second
	// beat is how often it says that it is carrying one out.
	beat = 5 * time.Second
	// dead is how old that may be before another carries the audit on.
	dead = 30 * time.Second
	// groupKeys is after how many keys extra ones are looked for, which visits all keys of the cache: 32 MB of fingerprints. A
	// larger shop takes what it takes.
	groupKeys = 4_000_000
	// mostClaims is how often an audit is begun that cannot be carried out.
	mostClaims = 3
)

// Runner carries out the audits of the ledger, in the pod that leads: those that runs wait for to be announced, and beside them
// the others, one at a time each.
type Runner struct {
	Ledger   *ledger.Store
	Cache    func(name string) (redis.UniversalClient, error)
	Datasets []Dataset
	Expire   config.Expire // policy.expire
	Config   config.Audit
	Settle   time.Duration                               // DefaultSettle, in production
	Proceed  Proceed                                     // of ErrHeld the audit waits for its next turn; nil: go on
	Announce func(ctx context.Context, run string) error // a run that has passed
	NewID    func() string                               // of an audit by the schedule
	Owner    string                                      // the pod
	Alerts   *alert.Dispatcher
	Metrics  *Metrics
	Log      *slog.Logger
}

// Run carries audits out until the context ends.
func (r *Runner) Run(ctx context.Context) {
	var lanes sync.WaitGroup
	for _, ready := range []bool{true, false} {
		lanes.Go(func() { r.lane(ctx, ready) })
	}
	lanes.Wait()
}

func (r *Runner) lane(ctx context.Context, ready bool) {
	next := time.NewTicker(tick)
	defer next.Stop()
	for {
		err := r.Once(ctx, ready)
		if !ready {
			err = errors.Join(err, r.schedule(ctx))
		}
		if err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, "audit; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
	}
}

// schedule asks for an audit when one is due.
func (r *Runner) schedule(ctx context.Context) error {
	if r.Config.Every == 0 {
		return nil
	}
	last, err := r.Ledger.LastScheduledAudit(ctx)
	if err != nil {
		return err
	}
	now, err := r.Ledger.Now(ctx)
	if err != nil || now.Sub(last) < r.Config.Every {
		return err
	}
	_, err = r.Ledger.RequestAudit(ctx, ledger.Audit{ID: r.NewID(), Kind: ledger.AuditScheduled, Repair: r.Config.Repair, Sample: r.Config.Sample, Who: "schedule"})
	return err
}

// Once carries out the next audit of a lane, if there is one.
func (r *Runner) Once(ctx context.Context, ready bool) error {
	next, err := r.Ledger.NextAudit(ctx, ready, r.Owner, dead)
	if err != nil || next == nil {
		return err
	}
	w := &work{Runner: r, Audit: *next, base: next.AuditCounts, bases: next.Caches, rows: next.RowsRead, source: next.SourceTime, cache: next.CacheTime}
	err = w.carry(ctx)
	if errors.Is(err, ledger.ErrFenced) {
		return nil
	}
	return w.end(ctx, err)
}

// work is one audit in hand.
type work struct {
	*Runner
	ledger.Audit
	auditor *Auditor
	found   []ledger.AuditFinding
	readyAt time.Time

	// As they were when the work was taken up.
	base          ledger.AuditCounts
	bases         map[string]ledger.AuditCounts // by cache
	rows          int64
	source, cache time.Duration
}

// carry compares shop by shop.
func (w *work) carry(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w.auditor = &Auditor{Datasets: w.Datasets, Jitter: w.Expire.Jitter, Repair: w.Repair, Settle: w.Settle,
		Found: w.note, Proceed: w.Proceed}
	beating, mine := make(chan struct{}), ledger.Audit{ID: w.ID, Claim: w.Claim}
	go func() {
		defer close(beating)
		w.beat(ctx, mine, stop)
	}()
	defer func() { stop(nil); <-beating }()
	shops, err := w.Ledger.Warm(ctx, w.ShopID, w.AfterShop)
	if err != nil {
		return err
	}
	w.ShopsTotal = w.ShopsDone + len(shops)
	for i, s := range shops {
		if err := w.shop(ctx, s.ShopID); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		w.ShopsDone++
		if w.auditor.Seen() < groupKeys && i+1 < len(shops) {
			continue
		}
		settle := w.auditor.Extras
		if w.part() {
			settle = w.auditor.Rest
		}
		if err := settle(ctx); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		w.auditor.Forget()
		w.AfterShop = s.ShopID
		if err := w.save(ctx); err != nil {
			return err
		}
	}
	return nil
}

// part says that not all rows are read, so that keys of no row cannot be told; a run that waits does not wait for them.
func (w *work) part() bool { return w.Sample < 100 || w.Kind == ledger.AuditReady }

// shop compares one shop, with the datasets that its run has. The ledger is asked at the shop's turn: the list may be hours old.
func (w *work) shop(ctx context.Context, id string) error {
	warm, err := w.Ledger.Warm(ctx, id, "")
	if err != nil {
		return err
	}
	if w.Kind == ledger.AuditReady {
		if len(warm) == 0 || warm[0].ID != w.RunID || warm[0].Epoch != w.Epoch {
			return errMoved
		}
		w.readyAt = warm[0].ReadyAt
	}
	if len(warm) == 0 {
		return nil
	}
	s := warm[0]
	units, err := w.Ledger.Units(ctx, s.ID, s.Epoch)
	if err != nil {
		return err
	}
	parts, err := w.Ledger.RunParts(ctx, s.ID)
	if err != nil {
		return err
	}
	shop := Shop{ID: id, Parts: map[string]source.Part{}, Datasets: map[string]bool{}, In: map[string]Cache{},
		Now: func(ctx context.Context, dataset string) (State, error) { return w.now(ctx, id, dataset) }}
	for _, u := range units {
		if w.Dataset != "" && w.Dataset != u.Dataset || shop.Datasets[u.Dataset] {
			continue
		}
		client, err := w.Cache(u.Cache)
		if err != nil {
			return err
		}
		shop.Parts[u.Dataset] = kept(parts[u.Dataset])
		shop.Datasets[u.Dataset], shop.In[u.Dataset] = true, Cache{u.Cache, client}
	}
	if w.Sample < 100 {
		shop.Ranges = sampled(units, w.Sample, rand.Float64)
	}
	return w.auditor.Shop(ctx, shop)
}

// kept is a part of the ledger as the source reads it.
func kept(p ledger.Part) source.Part {
	return source.Part{From: p.From, To: p.To, Column: p.Column, Since: p.Since.Value}
}

// now is how long the keys of a shop's dataset are needed at this moment.
func (w *work) now(ctx context.Context, shop, dataset string) (State, error) {
	ends, err := w.Ledger.Ends(ctx, shop, dataset, w.Expire.AfterEnd)
	if err != nil {
		return State{}, err
	}
	warm, err := w.Ledger.Warm(ctx, shop, "")
	if err != nil {
		return State{}, err
	}
	if len(warm) == 0 || ends.Needed.IsZero() {
		return State{Cold: true}, nil
	}
	return State{Ends: ends, Moving: warm[0].Moving}, nil
}

// sampled is pure: about so many percent of the units of each dataset, at least one.
func sampled(units []ledger.Unit, percent float64, chance func() float64) map[string][]Range {
	ranges, first := map[string][]Range{}, map[string]Range{}
	for _, u := range units {
		r := Range{From: u.From, To: u.To}
		if _, ok := first[u.Dataset]; !ok || chance() < 0.5 {
			first[u.Dataset] = r
		}
		if 100*chance() < percent {
			ranges[u.Dataset] = append(ranges[u.Dataset], r)
		}
	}
	for dataset, r := range first {
		if len(ranges[dataset]) == 0 {
			ranges[dataset] = []Range{r}
		}
	}
	return ranges
}

// ErrHeld: what is to be compared is paused. Other audits have their turn first.
var ErrHeld = errors.New("held")

// errMoved: the run that waits for this audit was restarted, or is not ready any more.
var errMoved = errors.New("the run has moved on")

func (w *work) note(_ context.Context, f Finding) error {
	w.Metrics.finding(f.Kind)
	if len(w.found) < ledger.FindingsKept {
		w.found = append(w.found, ledger.AuditFinding{Kind: string(f.Kind), ShopID: f.Shop, Dataset: f.Dataset, Key: f.Key, Detail: f.Detail, Repaired: f.Repaired})
	}
	return nil
}

// beat says that the audit is being carried out, until the context ends.
func (w *work) beat(ctx context.Context, mine ledger.Audit, stop context.CancelCauseFunc) {
	next := time.NewTicker(beat)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		bounded, cancel := context.WithTimeout(ctx, beat)
		err := w.Ledger.BeatAudit(bounded, mine, w.rows+w.auditor.Cost().Rows)
		cancel()
		if errors.Is(err, ledger.ErrFenced) {
			stop(err)
			return
		}
	}
}

// save writes what was found so far.
func (w *work) save(ctx context.Context) error {
	cost := w.auditor.Cost()
	w.AuditCounts = sum(w.base, w.auditor.Findings)
	w.Caches = maps.Clone(w.bases)
	for name, f := range w.auditor.ByCache {
		w.Caches[name] = sum(w.bases[name], *f)
	}
	w.RowsRead, w.SourceTime, w.CacheTime = w.rows+cost.Rows, w.source+cost.Source, w.cache+cost.Cache
	err := w.Ledger.SaveAudit(ctx, w.Audit, w.found)
	if err == nil {
		w.found = nil
	}
	return err
}

func sum(b ledger.AuditCounts, f Findings) ledger.AuditCounts {
	return ledger.AuditCounts{Keys: b.Keys + f.Keys, Missing: b.Missing + f.Missing, Different: b.Different + f.Different, Extra: b.Extra + f.Extra,
		WrongExpiry: b.WrongExpiry + f.WrongExpiry, Repaired: b.Repaired + f.Repaired, Changing: b.Changing + f.Changing}
}

// end says what became of the audit. Its own context may have ended.
func (w *work) end(ctx context.Context, cause error) error {
	stopped := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beat)
	defer cancel()
	switch {
	case cause == nil && w.Kind == ledger.AuditReady && w.readyAt.IsZero():
		w.State, w.LastError = ledger.AuditBroken, errMoved.Error()
	case cause == nil && w.Wrong() > w.Repaired:
		w.State = ledger.AuditFailed
	case cause == nil:
		w.State, w.LastError = ledger.AuditPassed, ""
	case stopped || errors.Is(cause, ErrHeld):
		return w.giveBack(ctx, cause, true)
	case w.Claim < mostClaims && !errors.Is(cause, errMoved):
		// What the shops in hand have brought is not kept: they begin anew.
		return w.giveBack(ctx, cause, false)
	default:
		w.State, w.LastError = ledger.AuditBroken, cause.Error()
	}
	if err := w.Ledger.SaveAudit(ctx, w.Audit, nil); err != nil {
		return err
	}
	w.Metrics.audit(w.State, w.Keys)
	w.tell(ctx)
	if w.State != ledger.AuditPassed || w.Kind != ledger.AuditReady {
		return nil
	}
	if err := w.Ledger.Audited(ctx, w.RunID, w.Epoch, w.readyAt); err != nil && !errors.Is(err, ledger.ErrState) {
		return err
	}
	return w.Announce(ctx, w.RunID)
}

// giveBack lets another take the audit up, from the last group of shops that was done.
func (w *work) giveBack(ctx context.Context, cause error, quietly bool) error {
	last, _, err := w.Ledger.Audit(ctx, w.ID)
	if err != nil {
		return err
	}
	w.State, w.LastError, w.ShopsDone = ledger.AuditWaiting, cause.Error(), last.ShopsDone
	if err := w.Ledger.SaveAudit(ctx, w.Audit, nil); err != nil || quietly {
		return err
	}
	return cause
}

// tell raises an alert about what is wrong.
func (w *work) tell(ctx context.Context) {
	what := "all warm shops"
	if w.ShopID != "" {
		what = "shop " + w.ShopID
	}
	if w.State == ledger.AuditFailed {
		w.Alerts.Raise(ctx, alert.Alert{
			Name: alert.AuditFailed, Severity: alert.Critical, Shop: w.ShopID, Run: w.RunID,
			Summary: fmt.Sprintf("the cache is not what the source says for %s: %d missing, %d different, %d extra, %d with a wrong expiry, of %d keys",
				what, w.Missing, w.Different, w.Extra, w.WrongExpiry, w.Keys),
			Remedy: "see GET /v1/audits/" + w.ID + ", then `prewarm audit --repair`",
		})
	}
	if w.State == ledger.AuditBroken {
		w.Alerts.Raise(ctx, alert.Alert{
			Name: alert.AuditBroken, Severity: alert.Warning, Shop: w.ShopID, Run: w.RunID,
			Summary: fmt.Sprintf("the audit of %s could not be carried out: %s", what, w.LastError),
			Remedy:  "mend the cause, then ask for it again with `prewarm audit`",
		})
	}
}
