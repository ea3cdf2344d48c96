package alert

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// States of a Record.
const (
	Firing   = "firing"
	Resolved = "resolved"
)

// Record is an alert as the outbox holds it: one for all pods and for all times it is raised. Its At is when it was last
// raised. Times are the ledger's.
type Record struct {
	Alert
	Fingerprint string     `json:"fingerprint"`
	State       string     `json:"state" enum:"firing,resolved"`
	Since       time.Time  `json:"since"`
	ResolvedAt  *time.Time `json:"resolved_at,omitempty"`
	Ended       string     `json:"ended,omitempty" doc:"why it is over"`
	Times       int64      `json:"times" doc:"how often it was raised"`

	Broadcast string     `json:"broadcast_id,omitempty"`
	Deadline  *time.Time `json:"deadline,omitempty" doc:"of its run"`

	Seq      int64     `json:"-"` // grows whenever there is something to tell: it fires, changes its severity, is resolved
	RunState string    `json:"-"` // of its run; "": it has none, or it is gone
	ReadyAt  time.Time `json:"-"` // of its run; zero: it is not ready
	EndsAt   time.Time `json:"-"` // of its run's broadcast

	SentSeq int64     `json:"-"` // what the sink that asks was last told; 0: nothing
	SentAt  time.Time `json:"-"`
}

// Margin is the time from the run's readiness, or now, to its deadline; negative: it is late. ok is false without a run.
func (r Record) Margin(now time.Time) (margin time.Duration, ok bool) {
	if r.Deadline == nil {
		return 0, false
	}
	if !r.ReadyAt.IsZero() {
		now = r.ReadyAt
	}
	return r.Deadline.Sub(now), true
}

const (
	// least is how long an alert stands at least, so that it is seen by those who look now and then, as Alertmanager does.
	least = time.Minute
	// settled is how long nobody has raised it: what another pod has just raised must have reached the outbox.
	settled = 2 * flushEvery
)

// Over is pure: why an alert that fires has ended, or "". after is how long one stands that is not raised any more.
func Over(r Record, now time.Time, after time.Duration) string {
	kind, silent := kinds[r.Name], now.Sub(r.At)
	if now.Sub(r.Since) < least || silent < settled {
		return ""
	}
	switch {
	case kind.while != nil && r.RunState != "" && !slices.Contains(kind.while, r.RunState):
		return "the run is " + r.RunState
	case kind.holds && r.RunState != "":
		if r.EndsAt.After(now) {
			return ""
		}
		return "the broadcast is over"
	case silent >= after:
		return fmt.Sprintf("it was not raised for %s", after)
	}
	return ""
}

// Due is pure: what a sink is to be told now, what is worst first. since is when the outbox has first heard of the sink: it
// is not told of what was over before.
func Due(all []Record, t Target, since, now time.Time) []Record {
	var due []Record
	for _, r := range all {
		if rank(r.Severity) < rank(t.MinSeverity) {
			continue
		}
		isNew := r.SentSeq < r.Seq
		if r.State == Resolved {
			isNew = isNew && (r.SentSeq > 0 || !r.ResolvedAt.Before(since))
		}
		again := r.State == Firing && t.Repeat > 0 && r.SentSeq > 0 && now.Sub(r.SentAt) >= t.Repeat
		if isNew || again {
			due = append(due, r)
		}
	}
	slices.SortStableFunc(due, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.State, b.State), rank(b.Severity)-rank(a.Severity), cmp.Compare(a.Name, b.Name), a.Since.Compare(b.Since))
	})
	return due
}

// Backoff is pure: how long a sink rests after so many failures in a row.
func Backoff(failures int) time.Duration {
	const first, most = 5 * time.Second, 10 * time.Minute
	if failures > 7 { // 2^7 times the first is more than the most
		return most
	}
	return min(most, first<<max(0, failures-1))
}

func rank(severity string) int { return slices.Index(severities, severity) }
