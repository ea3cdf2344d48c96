package app

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/guard"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/pace"
	"github.com/prewarm-go/prewarm/internal/source"
)

const (
	// tripEvery is how often the way to the sources is measured: a network changes when something fails over.
	tripEvery = 15 * time.Second
	// tripWithin bounds one measurement.
	tripWithin = 5 * time.Second
	// tripsKept is how many measurements are looked at: of two minutes the shortest is the network's. A busy server answers no ping at once,
	// and what is taken off a page's time for its way must not waver with that.
	tripsKept = 8
)

// pages sizes the pages of this pod: one pager for each dataset, which its slots share.
type pages struct {
	bounds pace.Pages
	start  int                                       // rows of a dataset's first page
	zone   func() guard.Zone                         // what the guard says; pages grow only while it says grow
	alone  func(source string) bool                  // whether nobody else reads from it
	tell   func(r load.PageRead, trip time.Duration) // of each page; nil: nobody
	gauge  *prometheus.GaugeVec
	log    *slog.Logger
	of     map[string]string // the source of each dataset

	mu     sync.Mutex
	trips  map[string][]time.Duration // to each server and back, the newest last
	pagers map[readAt]*sized
}

// readAt is a dataset where it is read: a replica is another server, and its pages another size.
type readAt struct{ dataset, replica string }

// sized is how large the pages of a dataset are, and why.
type sized struct {
	pager  pace.Pager
	reason string
	told   int // rows that were last logged
}

var _ load.Sizes = (*pages)(nil)

func (a *App) newPages(bound []*source.Bound) *pages {
	po := a.cfg.Policy
	p := &pages{
		start: po.PageRows, zone: a.pacer.zone, alone: a.pacer.alone, log: a.log, of: map[string]string{},
		bounds: pace.Pages{Target: po.PageTime, Bytes: po.PageBytes, Min: min(po.PageRowsMin, po.PageRows), Max: max(po.PageRowsMax, po.PageRows)},
		gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "prewarm_page_rows", Help: "Rows that the next page of a dataset asks for, in this pod.",
		}, []string{"dataset"}),
		trips: map[string][]time.Duration{}, pagers: map[readAt]*sized{},
	}
	for _, b := range bound {
		p.of[b.Spec().Name] = b.Source().Name()
	}
	a.reg.MustRegister(p.gauge)
	return p
}

// Rows implements load.Sizes.
func (p *pages) Rows(dataset, replica string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sized(readAt{dataset, replica}).pager.Rows
}

func (p *pages) sized(at readAt) *sized {
	s := p.pagers[at]
	if s == nil {
		s = &sized{pager: pace.Pager{}.First(p.start, p.bounds), reason: "policy.page_rows"}
		p.pagers[at] = s
	}
	return s
}

// Read implements load.Sizes.
func (p *pages) Read(r load.PageRead) {
	server, bounds := cmp.Or(r.Replica, p.of[r.Dataset]), p.bounds
	zone := p.zone()
	if zone < guard.Shrink && p.alone(server) {
		bounds.Alone = p.start
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, trip := p.sized(readAt{r.Dataset, r.Replica}), p.way(server)
	if p.tell != nil {
		p.tell(r, trip)
	}
	page := pace.Page{Rows: r.Rows, Bytes: r.Bytes, Time: r.Time, RoundTrip: trip}
	s.pager, s.reason = s.pager.Next(page, zone, bounds)
	rows := s.pager.Rows
	p.gauge.WithLabelValues(r.Dataset).Set(float64(rows))
	if most, least := max(rows, s.told), min(rows, s.told); most > 2*least {
		p.log.Debug("pages", "dataset", r.At(), "reason", s.reason, "was", s.told)
		s.told = rows
	}
}

// now is how large pages are, as the API shows it.
func (p *pages) now() []api.Pages {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []api.Pages{}
	for at, s := range p.pagers {
		list = append(list, api.Pages{Dataset: at.dataset, Replica: at.replica, Rows: s.pager.Rows, Reason: s.reason})
	}
	slices.SortFunc(list, func(a, b api.Pages) int {
		return cmp.Or(cmp.Compare(a.Dataset, b.Dataset), cmp.Compare(a.Replica, b.Replica))
	})
	return list
}

// measure measures the way to the servers again and again until the context ends. Of one that does not answer what was
// known stays.
func (p *pages) measure(ctx context.Context, servers func() map[string]*source.Source) {
	tick := time.NewTicker(tripEvery)
	defer tick.Stop()
	for {
		for _, src := range servers() {
			p.trip(ctx, src)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *pages) trip(ctx context.Context, src *source.Source) {
	ctx, cancel := context.WithTimeout(ctx, tripWithin)
	defer cancel()
	trip, err := src.RoundTrip(ctx)
	if err != nil {
		p.log.DebugContext(ctx, "measure the way to a source; it is tried again", "source", src.Name(), "error", err)
		return
	}
	p.took(src.Name(), trip)
}

// took takes one measurement.
func (p *pages) took(server string, trip time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := append(p.trips[server], trip)
	p.trips[server] = slices.Clone(kept[max(len(kept)-tripsKept, 0):])
}

// way is how long the way to a server and back takes; 0: it is not known.
func (p *pages) way(server string) time.Duration {
	if kept := p.trips[server]; len(kept) > 0 {
		return slices.Min(kept)
	}
	return 0
}

// zone is what the guard said when the width was last published; hold if nothing was heard for long.
func (p *pacer) zone() guard.Zone {
	last := p.now().last
	if last == nil {
		return guard.Hold
	}
	return guard.Worst(last.Guard).Zone
}

// alone says whether nobody else reads a source, as was last published.
func (p *pacer) alone(source string) bool {
	last := p.now().last
	return last != nil && slices.Contains(last.Alone, source)
}
