package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// flushEvery is how long what is raised again, and says nothing new, may wait for the outbox.
	flushEvery = 10 * time.Second
	// lookEvery is the time between two looks for mail.
	lookEvery = 2 * time.Second
	// sendTime bounds one message to a sink, and claimTime is how long nobody else sends meanwhile.
	sendTime, claimTime = 15 * time.Second, 30 * time.Second
	// storeTime bounds what is asked of the outbox at a time.
	storeTime = 10 * time.Second
	// forgetAfter is how long what is over can be looked up; it is looked for once in so many rounds of flushEvery, an hour.
	forgetAfter = 7 * 24 * time.Hour
	forgetRound = 360
	// mostAtOnce is how many alerts one message holds; what is left goes with the next.
	mostAtOnce = 200
)

// Sink tells people, or what tells them. Send returns when the other side has taken the message; ctx has a deadline. Its
// errors name no secret.
type Sink interface {
	Send(ctx context.Context, m Message) error
}

// Target is a sink with what it wants to be told, and when.
type Target struct {
	Name        string
	Sink        Sink
	MinSeverity string        // "": everything
	Repeat      time.Duration // what stands is told again after this long; 0: never
	Rest        time.Duration // between two messages: what comes up meanwhile goes into one
}

// Courier carries alerts from the Dispatcher to the outbox and from there to the sinks. Every pod has one.
type Courier struct {
	Dispatcher   *Dispatcher
	Outbox       Outbox
	Targets      []Target
	Self         string // the pod
	Links        Links
	ResolveAfter time.Duration // an alert that is not raised for so long is over
	Metrics      *Metrics
	Log          *slog.Logger
}

// Metrics counts messages. A nil Metrics counts nothing.
type Metrics struct {
	sent   *prometheus.CounterVec
	firing *prometheus.GaugeVec
}

// NewMetrics registers the courier's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "prewarm_alert_messages_total", Help: "Messages to alert sinks, by sink and outcome: sent, failed.",
		}, []string{"sink", "outcome"}),
		firing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "prewarm_alerts_firing", Help: "Alerts that stand, by severity.",
		}, []string{"severity"}),
	}
	reg.MustRegister(m.sent, m.firing)
	return m
}

// Run carries until the context ends, and then puts what is left into the outbox.
func (c *Courier) Run(ctx context.Context) {
	var wg sync.WaitGroup
	c.Metrics.begin(c.Targets)
	for _, t := range c.Targets {
		wg.Go(func() { c.serve(ctx, t) })
	}
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for rounds := 1; ; {
		step := c.flush
		select {
		case <-ctx.Done():
			wg.Wait()
			if err := c.flush(context.WithoutCancel(ctx)); err != nil {
				c.Log.WarnContext(ctx, "keep alerts; they are lost", "error", err)
			}
			return
		case <-c.Dispatcher.wake:
		case <-tick.C:
			if step = c.keep; rounds%forgetRound == 0 {
				step = c.forget
			}
			rounds++
		}
		if err := step(ctx); err != nil && ctx.Err() == nil {
			c.Log.WarnContext(ctx, "keep alerts; it is tried again", "error", err)
		}
	}
}

// flush puts what is pending into the outbox.
func (c *Courier) flush(ctx context.Context) error {
	all := c.Dispatcher.take()
	if len(all) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	if err := c.Outbox.RaiseAlerts(ctx, all); err != nil {
		c.Dispatcher.giveBack(all)
		return err
	}
	return nil
}

// forget keeps, and removes what is old.
func (c *Courier) forget(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*storeTime)
	defer cancel()
	return errors.Join(c.keep(ctx), c.Outbox.ForgetAlerts(ctx, forgetAfter))
}

// keep flushes and ends what is over.
func (c *Courier) keep(ctx context.Context) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	all, now, err := c.Outbox.FiringAlerts(ctx)
	if err != nil {
		return err
	}
	count := map[string]int{}
	for _, r := range all {
		why := Over(r, now, c.ResolveAfter)
		if why == "" {
			count[r.Severity]++
			continue
		}
		if err := c.Outbox.ResolveAlert(ctx, r, why); err != nil {
			return err
		}
		c.Log.InfoContext(ctx, "alert resolved", "alert", r.Name, "shop_id", r.Shop, "run_id", r.Run, "why", why)
	}
	c.Metrics.standing(count)
	return nil
}

// serve looks for a sink's mail until the context ends.
func (c *Courier) serve(ctx context.Context, t Target) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	step := c.meet
	for {
		err := step(ctx, t)
		if err == nil {
			step = c.deliver
		} else if ctx.Err() == nil {
			c.Log.WarnContext(ctx, "send alerts; it is tried again", "sink", t.Name, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// meet makes a sink known before anything happens that it is to be told of.
func (c *Courier) meet(ctx context.Context, t Target) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	return c.Outbox.MeetSink(ctx, t.Name)
}

// deliver tells a sink what it is to be told, if anything. It reads before it claims, so that an idle evening writes
// nothing, and again afterwards, because another pod may have been faster.
func (c *Courier) deliver(ctx context.Context, t Target) error {
	if due, _, err := c.due(ctx, t); err != nil || len(due) == 0 {
		return err
	}
	if claimed, err := c.claim(ctx, t); err != nil || !claimed {
		return err
	}
	due, mail, err := c.due(ctx, t)
	if err != nil {
		return err
	}
	due = due[:min(len(due), mostAtOnce)]
	if len(due) == 0 {
		return c.record(ctx, func(ctx context.Context) error { return c.Outbox.AlertsSent(ctx, t.Name, c.Self, nil, 0) })
	}
	if failure := c.send(ctx, t, c.Links.message(due, mail.Now)); failure != nil {
		return errors.Join(failure, c.record(ctx, func(ctx context.Context) error {
			return c.Outbox.SinkFailed(ctx, t.Name, c.Self, failure.Error(), Backoff(mail.Sink.Failures+1))
		}))
	}
	return c.record(ctx, func(ctx context.Context) error { return c.Outbox.AlertsSent(ctx, t.Name, c.Self, due, t.Rest) })
}

func (c *Courier) due(ctx context.Context, t Target) ([]Record, Mail, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	mail, err := c.Outbox.Mail(ctx, t.Name)
	if err != nil || mail.Sink.Next.After(mail.Now) {
		return nil, mail, err
	}
	return Due(mail.Records, t, mail.Sink.Since, mail.Now), mail, nil
}

func (c *Courier) claim(ctx context.Context, t Target) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	return c.Outbox.ClaimSink(ctx, t.Name, c.Self, claimTime)
}

// record writes down what has happened, although ctx may have ended meanwhile: a message that is sent is sent.
func (c *Courier) record(ctx context.Context, write func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	return write(ctx)
}

func (c *Courier) send(ctx context.Context, t Target, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	err := t.Sink.Send(ctx, m)
	c.Metrics.message(t.Name, err)
	if err != nil {
		return fmt.Errorf("send to %s: %w", t.Name, err)
	}
	return nil
}

// ErrNoSink: there is no sink of that name.
var ErrNoSink = errors.New("there is no such sink")

// Tested is what became of a test message.
type Tested struct {
	Sink  string `json:"sink"`
	Error string `json:"error,omitempty" doc:"empty: it was taken"`
}

// Test sends a message that says that it is a test to a sink, or to all for "". It is sent once and not kept.
func (c *Courier) Test(ctx context.Context, sink, who string) ([]Tested, error) {
	now := time.Now().UTC()
	r := Record{
		Alert: Alert{
			Name: "test", Severity: Info, Shop: "0", Summary: "this is a test of prewarm's alerts; all is well",
			Why: who + " has asked for it", Remedy: "nothing", About: c.Self, At: now,
		},
		State: Firing, Since: now, Seq: 1,
	}
	r.Fingerprint = r.Alert.Fingerprint()
	tested := []Tested{}
	for _, t := range c.Targets {
		if sink != "" && t.Name != sink {
			continue
		}
		one := Tested{Sink: t.Name}
		if err := c.send(ctx, t, c.Links.message([]Record{r}, now)); err != nil {
			one.Error = err.Error()
		}
		tested = append(tested, one)
	}
	if sink != "" && len(tested) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoSink, sink)
	}
	return tested, nil
}

// begin shows that nothing was sent yet.
func (m *Metrics) begin(targets []Target) {
	if m == nil {
		return
	}
	for _, t := range targets {
		m.sent.WithLabelValues(t.Name, "sent")
		m.sent.WithLabelValues(t.Name, "failed")
	}
	m.standing(nil)
}

func (m *Metrics) message(sink string, err error) {
	if m == nil {
		return
	}
	outcome := "sent"
	if err != nil {
		outcome = "failed"
	}
	m.sent.WithLabelValues(sink, outcome).Inc()
}

func (m *Metrics) standing(count map[string]int) {
	if m == nil {
		return
	}
	for _, s := range severities {
		m.firing.WithLabelValues(s).Set(float64(count[s]))
	}
}
