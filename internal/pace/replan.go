package pace

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// planTicks is how many decisions lie between two plans: what was announced a moment ago begins early enough until then,
// because a run is accepted with its earliest start.
const planTicks = 5

// Known are the limits that planning counts on, of a cluster with so many pods: what the bounds and the pods allow, what the
// servers bore on this and earlier evenings, what the guard has left if that binds, and the slots that do almost as much as more. A surge
// of a moment is no ceiling of an evening: what they bore may be so again.
func Known(now time.Time, w config.Width, pods int, s State, r Result) Limits {
	l := Limits{Ceiling: min(w.Max, max(pods, 1)*w.MaxPerPod), Max: w.Max, Pods: pods, PerPod: w.MaxPerPod, Least: w.Min}
	if borne, ok := s.Borne.known(now); ok {
		l.Ceiling = min(l.Ceiling, borne)
		l.Borne = l.Ceiling
	}
	if s.Limit > 0 && r.Bound {
		l.Ceiling = min(l.Ceiling, max(s.Limit, s.Knee))
	}
	if enough := s.Gain.Enough; enough >= w.Min {
		l.Ceiling = min(l.Ceiling, enough)
	}
	l.Ceiling = max(l.Ceiling, 1)
	return l
}

// plan judges all open work, moves the starts that are not right any more, and tells who will be late.
func (l *Loop) plan(ctx context.Context, in Input, open []ledger.OpenWork, works []Work, r Result) error {
	w, _ := bounds(in)
	verdicts := Judge(in.Now, works, Known(in.Now, w, in.Pods, l.state, r), l.Policy)
	runs := make(map[string]ledger.OpenWork, len(works))
	for _, o := range open {
		runs[o.RunID] = o
	}
	l.warn(ctx, verdicts, runs)
	moves := moved(works, verdicts, runs)
	if len(moves) == 0 {
		return nil
	}
	l.Log.InfoContext(ctx, "planned anew", "runs", len(works), "moved", len(moves))
	return l.Move(ctx, moves)
}

// moved is pure: the starts that are to be others than they are.
func moved(works []Work, verdicts []Verdict, runs map[string]ledger.OpenWork) []ledger.Move {
	var moves []ledger.Move
	for i, w := range works {
		to := verdicts[i].Start.Truncate(time.Microsecond) // as the ledger keeps it
		if w.Begun || to.Equal(w.Start) {
			continue
		}
		moves = append(moves, ledger.Move{RunID: w.Run, Epoch: runs[w.Run].Epoch, From: w.Start, To: to})
	}
	return moves
}

// What somebody is told of runs that will be late. A plan is made every 10 s.
const (
	sure     = 3           // plans in a row that must say so
	calmed   = 6           // that must say otherwise, for it to be over
	toldOf   = 20          // runs at a time, the nearest deadlines; of the others only the number is told
	doubtful = time.Second // late by less is not late
)

// doubt is what was seen of a run that was expected to be late.
type doubt struct {
	late, well int  // plans in a row
	told       bool // it was sure, and is not over
}

// see is pure: what becomes of a doubt with the next verdict.
func (d doubt) see(v Verdict) doubt {
	if -v.Margin >= doubtful {
		d.late, d.well = d.late+1, 0
		d.told = d.told || d.late >= sure
		return d
	}
	d.late, d.well = 0, d.well+1
	if !d.told || d.well >= calmed {
		return doubt{}
	}
	return d
}

// warn tells of the runs that will be late, before they are. An alert stands as long as it is raised.
func (l *Loop) warn(ctx context.Context, verdicts []Verdict, runs map[string]ledger.OpenWork) {
	doubts := map[string]doubt{}
	var tell []Verdict
	for _, v := range verdicts {
		d := l.late[v.Run].see(v)
		if d != (doubt{}) {
			doubts[v.Run] = d
		}
		if d.told && d.late > 0 {
			tell = append(tell, v)
		}
	}
	l.late = doubts
	for _, v := range tell[:min(len(tell), toldOf)] {
		o := runs[v.Run]
		l.Alerts.Raise(ctx, alert.Alert{
			Name: alert.RunWillBeLate, Severity: alert.Critical, Shop: o.ShopID, Run: v.Run,
			Summary: fmt.Sprintf("shop %s, broadcast %s, deadline %s: %s (%s)", o.ShopID, o.BroadcastID, clock(o.Deadline), v.Reason, v.State),
			Remedy:  v.Remedy,
		})
	}
	if rest := tell[min(len(tell), toldOf):]; len(rest) > 0 {
		worst := slices.MinFunc(rest, func(a, b Verdict) int { return cmp.Compare(a.Margin, b.Margin) })
		l.Alerts.Raise(ctx, alert.Alert{
			Name: alert.RunWillBeLate, Severity: alert.Critical,
			Summary: fmt.Sprintf("%d more runs will be late, by up to %s", len(rest), span(-worst.Margin.Seconds())), Remedy: worst.Remedy,
		})
	}
}
