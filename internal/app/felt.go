package app

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/cpu"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/pace"
	"github.com/prewarm-go/prewarm/internal/redisconn"
	"github.com/prewarm-go/prewarm/internal/source"
)

const (
	// feltEvery is how often a pod reports. The leader looks as often.
	feltEvery = 500 * time.Millisecond
	// feltFor is how long a report can be read: that of a pod that died is gone soon.
	feltFor = 3 * time.Second
	// feltRows is the least page whose time says something about rows.
	feltRows = 20
	// rowBytes is what a row counts for beside its bytes, as short rows are work too. It is a guess: it matters only where rows of another
	// length come in the middle of a trial of fewer slots.
	rowBytes = 150
)

// feltReport is what a pod's own work tells of the servers, as it stands on the queue's Redis under FeltKey. Nothing in it is a
// time: pods' clocks differ. How old it is is known of how much longer it can be read.
type feltReport struct {
	Pages map[string]float64 `json:"pages,omitempty"` // seconds per row by dataset and where it is read (load.At), the lower quartile since the last report
	Reads map[string]int64   `json:"reads"`           // statements sent so far, by source or replica
	Rates map[string]float64 `json:"rates,omitempty"` // of them, a second since the last report
	Busy  float64            `json:"busy,omitempty"`  // guard.Busy.Times since the last report
	CPU   float64            `json:"cpu,omitempty"`   // cpu.Use.Share since then, if a page was read
	tally
	Plans bool `json:"plans,omitempty"` // indexes were walked along for plans since the last report

	made time.Time // when it was made, by the clock of the pod that reads it
}

// reads is how many statements the pod has sent to a server by now. It reports every feltEvery, and its work goes on meanwhile; a pod that
// has not reported for twice as long may do nothing.
func (r feltReport) reads(name string, now time.Time) float64 {
	return float64(r.Reads[name]) + r.Rates[name]*min(max(now.Sub(r.made), 0), 2*feltEvery).Seconds()
}

// tally is what a pod has read since it started.
type tally struct {
	Done  int64         `json:"done,omitempty"`  // bytes of keys and values, and rowBytes for each row
	Spent time.Duration `json:"spent,omitempty"` // that the servers took for it
}

// felt collects what this pod's slots feel, and as the leader's feeds the watch with what all pods report.
type felt struct {
	app *App // set by New
	cpu *cpu.Use

	mu     sync.Mutex
	pages  map[string][]float64 // seconds per row of each page since the last report
	busy   guard.Busy           // of the same pages
	reads  map[string]guard.Reads
	tally  tally            // this pod's
	plans  bool             // feltReport.Plans
	sent   map[string]int64 // feltReport.Reads of the last report
	told   time.Time        // when it was made
	seen   map[string]tally // the pods', when they were last looked at
	looked time.Time        // when
}

// page takes the time of a page.
func (f *felt) page(r load.PageRead, trip time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tally.Done += int64(r.Bytes) + int64(r.Rows)*rowBytes
	f.tally.Spent += max(r.Time-trip, 0)
	if r.Rows < feltRows {
		return
	}
	if f.pages == nil {
		f.pages = map[string][]float64{}
	}
	f.pages[r.At()] = append(f.pages[r.At()], guard.PageCost(r.Time, trip, r.Rows))
	f.busy = f.busy.Page(r.Time, r.Had, trip)
}

// walked takes that an index was walked along for a plan.
func (f *felt) walked() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans = true
}

// run reports until the context ends.
func (f *felt) run(ctx context.Context) {
	tick := time.NewTicker(feltEvery)
	defer tick.Stop()
	for {
		if err := f.tell(ctx); err != nil && ctx.Err() == nil {
			f.app.log.DebugContext(ctx, "report what is felt of the servers; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (f *felt) tell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, feltEvery)
	defer cancel()
	text, err := json.Marshal(f.report())
	if err != nil {
		return err
	}
	return f.app.queueDB.Set(ctx, redisconn.FeltKey(f.app.id), text, feltFor).Err()
}

func (f *felt) report() feltReport {
	used := f.cpu.Share()
	f.mu.Lock()
	defer f.mu.Unlock()
	r := feltReport{Pages: map[string]float64{}, Reads: map[string]int64{}, Rates: map[string]float64{}, tally: f.tally, Plans: f.plans}
	for dataset, times := range f.pages {
		r.Pages[dataset] = quick(times)
	}
	r.Busy = f.busy.Times()
	if len(f.pages) > 0 {
		r.CPU = used
	}
	f.pages, f.busy, f.plans = nil, guard.Busy{}, false
	now := time.Now()
	for name, server := range f.app.servers() {
		r.Reads[name] = f.ours(name, server)
		if was, known := f.sent[name]; known {
			r.Rates[name] = float64(r.Reads[name]-was) / max(now.Sub(f.told), time.Millisecond).Seconds()
		}
	}
	f.sent, f.told = r.Reads, now
	return r
}

// ours is how many statements that return rows this pod has sent to a server.
func (f *felt) ours(name string, server *source.Source) int64 {
	n := server.Reads()
	if slices.Contains(f.app.beside, name) {
		n += f.app.ledger.Reads()
	}
	return n
}

// feel is the leader's: it reads the pods' reports and the servers' counts, feeds the watch, and says which sources and replicas
// nobody else reads and what was done.
func (f *felt) feel(ctx context.Context, pods []string) (told pace.Felt) {
	reports := f.reports(ctx, pods)
	pages, busy, used := map[string][]float64{}, []float64(nil), []float64(nil)
	for _, r := range reports {
		if r.Busy > 0 {
			busy = append(busy, r.Busy)
		}
		if r.CPU > 0 {
			used = append(used, r.CPU)
		}
		told.Planning = told.Planning || r.Plans
		for dataset, cost := range r.Pages {
			pages[dataset] = append(pages[dataset], cost)
		}
	}
	now := time.Now()
	did := f.since(reports, pods, now)
	told.Done, told.Spent = float64(did.Done), did.Spent.Seconds()
	if len(busy) > 0 {
		f.observe(guard.PodsBusy(f.app.cfg.Pace.PodsBusy), median(busy), now)
	}
	if len(used) > 0 {
		f.observe(guard.PodsCPU(f.app.cfg.Pace.PodsCPU), median(used), now)
	}
	for dataset, costs := range pages {
		f.observe(guard.PageTime(dataset, f.app.cfg.Guard.PageTime), median(costs), now)
	}
	servers := f.app.servers()
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		if f.crowd(ctx, name, servers[name], reports) {
			told.Alone = append(told.Alone, name)
		}
	}
	return told
}

// since is what pods have read since their reports before. Of one that is new, and of all when nobody has looked for long, nothing is
// known.
func (f *felt) since(reports map[string]feltReport, pods []string, at time.Time) (did tally) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.Sub(f.looked) > feltFor {
		f.seen = nil
	}
	seen := make(map[string]tally, len(pods))
	for _, pod := range pods {
		was, known := f.seen[pod]
		r, told := reports[pod]
		switch {
		case told && known:
			did.Done += max(r.Done-was.Done, 0)
			did.Spent += max(r.Spent-was.Spent, 0)
			fallthrough
		case told:
			seen[pod] = r.tally
		case known:
			seen[pod] = was
		}
	}
	f.seen, f.looked = seen, at
	return did
}

// observe tells the watch, which learns of a signal when there is first something to tell.
func (f *felt) observe(g *guard.Gauge, value float64, now time.Time) {
	if !f.app.feelings.Observe(g.Name, value, now) {
		f.app.feelings.Add(g, nil)
		f.app.feelings.Observe(g.Name, value, now)
	}
}

// crowd looks whether others read more from a server than they use to, and says whether they read nothing at all.
func (f *felt) crowd(ctx context.Context, name string, server *source.Source, reports map[string]feltReport) (alone bool) {
	g := guard.MySQLReads(name, 0)
	if !f.app.feelings.Has(g.Name) {
		return false // it is off, or was left out at the start: the server does not count
	}
	ours := float64(f.ours(name, server)) // this pod's, to the moment
	all, err := guard.ReadSelects(ctx, server.DB())
	if err != nil {
		f.app.feelings.Fail(g.Name, err)
		return false
	}
	now := time.Now()
	for _, r := range reports {
		ours += r.reads(name, now)
	}
	f.mu.Lock()
	if f.reads == nil {
		f.reads = map[string]guard.Reads{}
	}
	next, ratio, ok := f.reads[name].Next(now, all, ours)
	f.reads[name] = next
	f.mu.Unlock()
	if ok {
		f.app.feelings.Observe(g.Name, ratio, now)
	}
	return next.Alone()
}

// reports are those of the pods that live, as far as they can be read.
func (f *felt) reports(ctx context.Context, pods []string) map[string]feltReport {
	var answers []*redis.StringCmd
	var left []*redis.DurationCmd
	_, _ = f.app.queueDB.Pipelined(ctx, func(p redis.Pipeliner) error { // each answer has its own error
		for _, pod := range pods {
			answers = append(answers, p.Get(ctx, redisconn.FeltKey(pod)))
			left = append(left, p.PTTL(ctx, redisconn.FeltKey(pod)))
		}
		return nil
	})
	now := time.Now()
	reports := make(map[string]feltReport, len(pods))
	for i, answer := range answers {
		var r feltReport
		text, err := answer.Bytes()
		if err != nil || json.Unmarshal(text, &r) != nil {
			continue
		}
		r.made = now
		if left := left[i].Val(); left > 0 {
			r.made = now.Add(left - feltFor)
		}
		if pods[i] == f.app.id {
			r.Reads, r.Rates = nil, nil // it is counted to the moment
		}
		reports[pods[i]] = r
	}
	return reports
}

// quick is the lower quartile.
func quick(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/4]
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}
