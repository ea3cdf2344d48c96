package intake

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// watchEvery is how often the leader looks.
const watchEvery = time.Minute

// Watch tells when announcements are late, short or missing, against what is usual of the weekday. It says nothing as long as
// nothing usual is known. Days are those of the pods' zone.
type Watch struct {
	Ledger  *ledger.Store
	Config  config.IntakeWatch // policy.intake_watch
	Alerts  *alert.Dispatcher
	Metrics *WatchMetrics
	Log     *slog.Logger
}

// Run looks every minute until the context ends.
func (w *Watch) Run(ctx context.Context) {
	defer w.Metrics.set(0, 0, 0) // what only the pod that leads knows
	if w.Config.LateAfter == 0 {
		return
	}
	next := time.NewTicker(watchEvery)
	defer next.Stop()
	for {
		now, err := w.Ledger.Now(ctx)
		if err == nil {
			err = w.Look(ctx, now.Local())
		}
		if err != nil && ctx.Err() == nil {
			w.Log.WarnContext(ctx, "look whether announcements are in time; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
	}
}

// Look judges the day of now, up to then.
func (w *Watch) Look(ctx context.Context, now time.Time) error {
	midnight := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	today, err := w.Ledger.IntakeOn(ctx, midnight, now.Add(time.Second))
	if err != nil {
		return err
	}
	before, err := w.before(ctx, midnight)
	if err != nil {
		return err
	}
	u, ok := usually(before)
	if !ok {
		w.Metrics.set(today.Accepted, 0, 0)
		return nil
	}
	f := judgeDay(now, today, u, w.Config)
	w.Metrics.set(today.Accepted, u.accepted, f.late)
	if f.name == "" {
		return nil
	}
	severity := alert.Critical // nothing will be warm
	if f.name == alert.IntakeShort {
		severity = alert.Warning
	}
	w.Alerts.Raise(ctx, alert.Alert{Name: f.name, Severity: severity, Summary: f.reason,
		Remedy: "ask the team that announces broadcasts whether its job has run; `prewarm tonight` lists what is known"})
	return nil
}

// before are the same weekdays before a day, those left out that were over before the first request that is known.
func (w *Watch) before(ctx context.Context, midnight time.Time) (days []ledger.IntakeDay, err error) {
	all, err := w.Ledger.IntakeOn(ctx, midnight.AddDate(0, 0, -7*usualWeeks), midnight)
	if err != nil {
		return nil, err
	}
	for week := 1; week <= usualWeeks; week++ {
		from := midnight.AddDate(0, 0, -7*week)
		to := from.AddDate(0, 0, 1)
		if all.Accepted == 0 || !to.After(all.First) {
			break
		}
		day, err := w.Ledger.IntakeOn(ctx, from, to)
		if err != nil {
			return nil, err
		}
		day.First, day.Last = day.First.In(midnight.Location()), day.Last.In(midnight.Location())
		days = append(days, day)
	}
	return days, nil
}

// WatchMetrics are what the pod that leads has seen of the day. Nil keeps nothing.
type WatchMetrics struct{ today, usual, late prometheus.Gauge }

// NewWatchMetrics registers them.
func NewWatchMetrics(reg prometheus.Registerer) *WatchMetrics {
	m := &WatchMetrics{
		today: prometheus.NewGauge(prometheus.GaugeOpts{Name: "prewarm_intake_accepted", Help: "Broadcasts accepted today. Of the pod that leads."}),
		usual: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "prewarm_intake_usual", Help: "Broadcasts that are usual of such a weekday; 0: it is not known. Of the pod that leads.",
		}),
		late: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "prewarm_intake_late_seconds",
			Help: "How long ago the first request of the day usually comes that has not come yet; 0: it is in time, or nothing usual is known. Of the pod that leads.",
		}),
	}
	reg.MustRegister(m.today, m.usual, m.late)
	return m
}

func (m *WatchMetrics) set(today, usual int, late time.Duration) {
	if m == nil {
		return
	}
	m.today.Set(float64(today))
	m.usual.Set(float64(usual))
	m.late.Set(late.Seconds())
}
