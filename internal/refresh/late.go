package refresh

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Overdue is a dataset whose changed rows were not looked for when they should have been.
type Overdue struct {
	Dataset string
	By      time.Duration // of the shop that waits longest
	Shop    string
	Since   time.Time // when that shop's rows were looked for last, or began to be read
	Shops   int       // that wait for longer than the limit
}

// overdue is pure: the datasets of shops in the cache by how long they are overdue, those that are in time with 0. fresh are
// those that are refreshed on a schedule, and every is how often.
func overdue(now time.Time, fresh []ledger.Fresh, every map[string]time.Duration, limit time.Duration) []Overdue {
	worst := map[string]Overdue{}
	for dataset := range every {
		worst[dataset] = Overdue{Dataset: dataset}
	}
	for _, f := range fresh {
		o, due := worst[f.Dataset], dueAt(f, every[f.Dataset])
		if by := now.Sub(due); by > o.By {
			o.By, o.Shop, o.Since = by, f.ShopID, due.Add(-every[f.Dataset])
		}
		if now.Sub(due) > limit {
			o.Shops++
		}
		worst[f.Dataset] = o
	}
	all := make([]Overdue, 0, len(worst))
	for _, o := range worst {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b Overdue) int { return cmp.Or(cmp.Compare(b.By, a.By), strings.Compare(a.Dataset, b.Dataset)) })
	return all
}

// watch measures how late the refreshes are, and tells of those that are later than Within.
func (s *Scheduler) watch(ctx context.Context, now time.Time, fresh []ledger.Fresh) {
	every := map[string]time.Duration{}
	for name, d := range s.Datasets {
		if scheduled(d) {
			every[name] = d.Spec().Refreshed().Every
		}
	}
	for _, o := range overdue(now, fresh, every, s.Within) {
		s.Metrics.overdue(o.Dataset, o.By)
		if o.Shops > 0 {
			s.Alerts.Raise(ctx, o.alert(every[o.Dataset]))
		}
	}
}

func (o Overdue) alert(every time.Duration) alert.Alert {
	return alert.Alert{
		Name: alert.RefreshLate, Severity: alert.Warning, About: o.Dataset,
		Summary: fmt.Sprintf("%s: changed rows of %d shops are not looked for in time; of shop %s last at %s, and it should be every %s",
			o.Dataset, o.Shops, o.Shop, o.Since.UTC().Format(time.TimeOnly), every),
		Remedy: "what holds it up is in `prewarm status` (a pause, the guard) or in the leader's log; older values are served until it goes on",
	}
}
