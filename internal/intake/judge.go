package intake

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// judgeTime is how long an answer waits for verdicts, estimateTime of it for estimates: the broadcasts are accepted all the
// same, and who asks for their runs a moment later finds the verdicts there.
const (
	judgeTime    = 3 * time.Second
	estimateTime = 2 * time.Second
)

// judge gives the outcomes of broadcasts that are to be warmed their verdicts.
func (in *Intake) judge(ctx context.Context, items []item, outcomes []Outcome, now time.Time) {
	if in.Judge == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, judgeTime)
	defer cancel()
	var runs []Judged
	var at []int // of the runs in outcomes
	for i, o := range outcomes {
		if o.RunID != "" && !o.idle && (o.Outcome == Accepted || o.Outcome == Rescheduled || o.Outcome == Resumed) {
			runs = append(runs, Judged{RunID: o.RunID, Tier: items[i].Tier, Times: timesOf(items[i].Broadcast, in.Policy, now)})
			at = append(at, i)
		}
	}
	if len(runs) == 0 {
		return
	}
	in.estimate(ctx, runs, func(i int) string { return outcomes[at[i]].ShopID })
	verdicts, err := in.Judge(ctx, runs)
	if err != nil {
		in.Log.WarnContext(ctx, "judge what was accepted; its runs get their verdicts later", "runs", len(runs), "error", err)
		verdicts = make([]*Verdict, len(runs))
	}
	for i, v := range verdicts {
		if v == nil {
			v = &Verdict{State: Unknown, Reason: "not estimated yet: the source or the ledger did not answer in time"}
		}
		outcomes[at[i]].Verdict = v
	}
}

// estimate fills in how much there is to load, of as many as the sources answer for in time.
func (in *Intake) estimate(ctx context.Context, runs []Judged, shop func(i int) string) {
	ctx, cancel := context.WithTimeout(ctx, estimateTime)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(width)
	for i := range runs {
		group.Go(func() error {
			rows, err := in.Shops.Estimate(ctx, shop(i))
			if err == nil {
				runs[i].Rows = rows
			}
			return nil // what is not estimated is unknown
		})
	}
	_ = group.Wait()
}
