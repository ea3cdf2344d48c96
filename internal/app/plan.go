package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/pace"
	"github.com/prewarm-go/prewarm/tasks"
)

// plans answers what would become of broadcasts.
type plans struct {
	a    *App
	kept *keptVerdicts
}

// keptVerdicts are those of the open runs, for a tick: lists are asked for often, and judging 500 runs takes a while.
type keptVerdicts struct {
	mu    sync.Mutex
	at    time.Time
	byRun map[string]pace.Verdict
}

// judge judges works as the cluster stands now.
func (p plans) judge(ctx context.Context, now time.Time, works []pace.Work) []pace.Verdict {
	c := p.a.cfg.Width
	pods, err := p.a.ledger.Pods(ctx, p.a.cfg.Policy.PodDead)
	carry := len(pods)
	if err != nil {
		carry = c.Max // without a ledger nothing is said about pods
	}
	var state pace.State
	var result pace.Result
	if last := p.a.pacer.now().last; last != nil {
		state, result = last.State, last.Result
	}
	l := pace.Known(now, c, carry, state, result)
	l.Pods = len(pods)
	return pace.Judge(now, works, l, p.a.policy())
}

// known is what there is to do and what it costs.
func (p plans) known(ctx context.Context) (now time.Time, open []ledger.OpenWork, rates map[string]pace.Rate, err error) {
	if now, err = p.a.ledger.Now(ctx); err != nil {
		return now, nil, nil, err
	}
	if open, err = p.a.ledger.OpenWork(ctx); err != nil {
		return now, nil, nil, err
	}
	rates, err = pace.ReadRates(ctx, p.a.ledger)
	return now, open, rates, err
}

// Plan judges a document together with what is open now.
func (p plans) Plan(ctx context.Context, body []byte) (api.PlanAnswer, error) {
	previews, err := p.a.intake.Preview(ctx, body)
	if err != nil {
		return api.PlanAnswer{}, err
	}
	now, open, rates, err := p.known(ctx)
	if err != nil {
		return api.PlanAnswer{}, err
	}
	moved := map[string]bool{}
	var works []pace.Work
	for i, v := range previews {
		if v.Rows == nil {
			continue
		}
		moved[v.Outcome.RunID] = v.Outcome.RunID != ""
		works = append(works, p.work(intake.Judged{RunID: fmt.Sprint(i), Tier: v.Tier, Times: v.Times, Rows: v.Rows}, rates, now))
	}
	mine := len(works)
	for _, w := range pace.WorksOf(open, rates, now, p.a.policy()) {
		if !moved[w.Run] {
			works = append(works, w)
		}
	}
	return answerOf(previews, open, works, p.judge(ctx, now, works), mine), nil
}

// accepted judges runs that intake has just accepted or moved, together with what is open now. A run that is cut already
// is weighed by its units, any other by its estimate.
func (p plans) accepted(ctx context.Context, runs []intake.Judged) ([]*intake.Verdict, error) {
	now, open, rates, err := p.known(ctx)
	if err != nil {
		return nil, err
	}
	works := pace.WorksOf(open, rates, now, p.a.policy())
	cut := map[string]bool{}
	for _, w := range works {
		cut[w.Run] = true
	}
	for _, r := range runs {
		if !cut[r.RunID] && r.Rows != nil {
			works = append(works, p.work(r, rates, now))
		}
	}
	byRun := map[string]pace.Verdict{}
	for _, v := range p.judge(ctx, now, works) {
		byRun[v.Run] = v
	}
	verdicts := make([]*intake.Verdict, len(runs))
	for i, r := range runs {
		if v, ok := byRun[r.RunID]; ok {
			verdicts[i] = api.VerdictOf(v)
		}
	}
	return verdicts, nil
}

// work is what a run will be that is not cut yet.
func (p plans) work(r intake.Judged, rates map[string]pace.Rate, now time.Time) pace.Work {
	var parts []pace.Part
	units := 0
	for dataset, rows := range r.Rows {
		parts = append(parts, pace.Part{Dataset: dataset, Rows: rows})
		units += int(rows/int64(p.a.cfg.Policy.UnitRows)) + 1
	}
	w := pace.Work{Run: r.RunID, Earliest: r.Times.PlannedStart, Deadline: r.Times.Deadline, Key: r.Tier == tasks.TierKA,
		Begun: r.Times.Urgent, Units: units}
	if w.Begun { // as soon as it is accepted
		w.Start = now
	}
	w.Seconds, w.Cautious = pace.Weigh(parts, rates, now)
	w.Longest = w.Seconds / float64(max(units, 1))
	return w
}

func answerOf(previews []intake.Preview, open []ledger.OpenWork, works []pace.Work, verdicts []pace.Verdict, mine int) api.PlanAnswer {
	answer := api.PlanAnswer{Verdicts: []api.Planned{}, Open: []api.Planned{}}
	next := 0
	for _, v := range previews {
		var verdict *pace.Verdict
		if v.Rows != nil {
			verdict = &verdicts[next]
			next++
		}
		answer.Verdicts = append(answer.Verdicts, api.PlannedOf(v.Outcome, v.Times.Deadline, verdict))
	}
	of := map[string]ledger.OpenWork{}
	for _, o := range open {
		of[o.RunID] = o
	}
	for i := mine; i < len(works); i++ {
		run := of[works[i].Run]
		o := intake.Outcome{ShopID: run.ShopID, BroadcastID: run.BroadcastID, RunID: run.RunID, Outcome: api.Open}
		answer.Open = append(answer.Open, api.PlannedOf(o, works[i].Deadline, &verdicts[i]))
	}
	return answer
}

// verdicts are of the runs that are open now.
func (p plans) verdicts(ctx context.Context) (map[string]pace.Verdict, error) {
	p.kept.mu.Lock()
	defer p.kept.mu.Unlock()
	if time.Since(p.kept.at) < pace.Tick {
		return p.kept.byRun, nil
	}
	now, open, rates, err := p.known(ctx)
	if err != nil {
		return nil, err
	}
	works := pace.WorksOf(open, rates, now, p.a.policy())
	byRun := map[string]pace.Verdict{}
	for _, v := range p.judge(ctx, now, works) {
		byRun[v.Run] = v
	}
	p.kept.at, p.kept.byRun = time.Now(), byRun
	return byRun, nil
}
