package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// scrapeTime bounds what one scrape may ask of the ledger and the queue.
const scrapeTime = 3 * time.Second

// gauges are read from ledger and queue when they are asked for. All pods answer the same: take max(), not sum().
type gauges struct {
	a *App

	runs, backlog, slack       *prometheus.Desc
	width, actual, slots       *prometheus.Desc
	demand, ceiling, wanted    *prometheus.Desc
	zone                       *prometheus.Desc
	depth, latency, scrapeFail *prometheus.Desc
}

func newGauges(a *App) *gauges {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("prewarm_"+name, help, labels, nil)
	}
	return &gauges{
		a:          a,
		runs:       d("runs", "Runs of broadcasts not over for a day, by state.", "state"),
		backlog:    d("backlog_rows", "Rows that open runs have still to write."),
		slack:      d("slack_seconds_min", "Least time left until the deadline of an open run; negative: it is late."),
		width:      d("width_target", "Slots that the cluster should use."),
		demand:     d("width_demand", "Slots that the deadlines ask for, with headroom."),
		ceiling:    d("width_ceiling", "Slots that could be used now: by width.max, the pods and the guard."),
		wanted:     d("pods_wanted", "Pods that the width wants; more do not help if it is less than there are."),
		zone:       d("guard_zone", "What a signal says: 0 grow, 1 hold, 2 shrink, 3 stop.", "signal"),
		actual:     d("width_actual", "Slots that the living pods report."),
		slots:      d("pod_slots", "Slots of this pod."),
		depth:      d("queue_depth", "Tasks by queue and state; due_soon are those of scheduled that are due within 5 minutes.", "queue", "state"),
		latency:    d("queue_latency_seconds", "How long the oldest pending task has waited, by queue.", "queue"),
		scrapeFail: d("scrape_failed", "1 if the ledger or the queue did not answer this scrape, by part.", "part"),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.runs, g.backlog, g.slack, g.width, g.actual, g.slots, g.demand, g.ceiling, g.wanted, g.zone, g.depth, g.latency, g.scrapeFail} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	part := func(name string, err error) {
		v := 0.0
		if err != nil {
			v = 1
		}
		send(g.scrapeFail, v, name)
	}
	part("ledger", g.ledger(ctx, send))
	part("queue", g.queue(ctx, send))
	if last := g.a.pacer.now().last; last != nil {
		send(g.width, float64(last.Result.Width))
		send(g.demand, last.Demand.Slots)
		send(g.ceiling, float64(last.Result.Ceiling))
		send(g.wanted, float64(last.State.PodsAsked))
		for _, v := range last.Guard {
			send(g.zone, float64(v.Zone), v.Signal)
		}
	}
	send(g.slots, float64(g.a.pool.Size()))
}

type sendFunc func(d *prometheus.Desc, v float64, labels ...string)

func (g *gauges) ledger(ctx context.Context, send sendFunc) error {
	totals, err := g.a.ledger.Totals(ctx, time.Now().Add(-24*time.Hour))
	if err != nil {
		return err
	}
	for _, st := range []ledger.RunState{ledger.RunPlanned, ledger.RunWarming, ledger.RunReady, ledger.RunFailed, ledger.RunCancelled, ledger.RunSkipped} {
		send(g.runs, float64(totals[st]), string(st))
	}
	load, err := g.a.ledger.Backlog(ctx)
	if err != nil {
		return err
	}
	send(g.backlog, float64(load.Rows))
	if !load.FirstDeadline.IsZero() {
		send(g.slack, load.FirstDeadline.Sub(load.Now).Seconds())
	}
	pods, err := g.a.ledger.Pods(ctx, g.a.cfg.Policy.PodDead)
	if err != nil {
		return err
	}
	actual := 0
	for _, p := range pods {
		actual += p.Slots
	}
	send(g.actual, float64(actual))
	return nil
}

func (g *gauges) queue(ctx context.Context, send sendFunc) error {
	depths, err := g.a.queue.Depths(ctx)
	if err != nil {
		return err
	}
	for _, d := range depths {
		for state, n := range map[string]int64{
			"pending": d.Pending, "scheduled": d.Scheduled, "retry": d.Retry, "active": d.Active,
			"archived": d.Archived, "completed": d.Completed, "due_soon": d.DueSoon,
		} {
			send(g.depth, float64(n), d.Queue, state)
		}
		send(g.latency, d.Latency.Seconds(), d.Queue)
	}
	return nil
}
