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

// judged are works with their verdicts.
func (p plans) judge(ctx context.Context, now time.Time, works []pace.Work) []pace.Verdict {
	c := p.a.cfg.Width
	l := pace.Limits{Ceiling: c.Max, Max: c.Max, PerPod: c.MaxPerPod, Least: c.Min}
	if pods, err := p.a.ledger.Pods(ctx, p.a.cfg.Policy.PodDead); err == nil {
		l.Pods = len(pods)
		l.Ceiling = max(1, min(c.Max, len(pods)*c.MaxPerPod))
	}
	// What the guard has left counts when it binds; a surge of a moment is no ceiling of an evening.
	if last := p.a.pacer.now().last; last != nil && last.Result.Bound && last.State.Limit > 0 {
		l.Ceiling = min(l.Ceiling, max(last.State.Limit, last.State.Knee))
	}
	return pace.Judge(now, works, l, p.a.policy())
}

// Plan judges a document together with what is open now.
func (p plans) Plan(ctx context.Context, body []byte) (api.PlanAnswer, error) {
	previews, err := p.a.intake.Preview(ctx, body)
	if err != nil {
		return api.PlanAnswer{}, err
	}
	now, err := p.a.ledger.Now(ctx)
	if err != nil {
		return api.PlanAnswer{}, err
	}
	open, err := p.a.ledger.OpenWork(ctx)
	if err != nil {
		return api.PlanAnswer{}, err
	}
	rates, err := pace.ReadRates(ctx, p.a.ledger)
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
		works = append(works, p.work(fmt.Sprint(i), v, rates, now))
	}
	mine := len(works)
	for _, w := range pace.WorksOf(open, rates, now) {
		if !moved[w.Run] {
			works = append(works, w)
		}
	}
	return answerOf(previews, open, works, p.judge(ctx, now, works), mine), nil
}

func (p plans) work(name string, v intake.Preview, rates map[string]pace.Rate, now time.Time) pace.Work {
	var parts []pace.Part
	units := 0
	for dataset, rows := range v.Rows {
		parts = append(parts, pace.Part{Dataset: dataset, Rows: rows})
		units += int(rows/int64(p.a.cfg.Policy.UnitRows)) + 1
	}
	w := pace.Work{Run: name, Earliest: v.Times.PlannedStart, Deadline: v.Times.Deadline, Units: units}
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
	now, err := p.a.ledger.Now(ctx)
	if err != nil {
		return nil, err
	}
	works, err := pace.Works(ctx, p.a.ledger, now)
	if err != nil {
		return nil, err
	}
	byRun := map[string]pace.Verdict{}
	for _, v := range p.judge(ctx, now, works) {
		byRun[v.Run] = v
	}
	p.kept.at, p.kept.byRun = time.Now(), byRun
	return byRun, nil
}
