package alert

import (
	"context"
	"time"
)

// Outbox is the ledger's side. Its moves are compare-and-set: any number of pods may make them at once.
type Outbox interface {
	// RaiseAlerts makes or renews the records of alerts. One that was resolved fires again.
	RaiseAlerts(ctx context.Context, all []Alert) error
	// FiringAlerts are those that are not resolved, with the ledger's time.
	FiringAlerts(ctx context.Context) ([]Record, time.Time, error)
	// ResolveAlert ends an alert, unless it has been raised since it was read.
	ResolveAlert(ctx context.Context, r Record, why string) error
	// Mail is what a sink may have to be told.
	Mail(ctx context.Context, sink string) (Mail, error)
	// MeetSink makes a sink known, from now on: it is not told of what was over before. A sink may be met any number of times.
	MeetSink(ctx context.Context, sink string) error
	// ClaimSink makes the holder the only one who may send to a sink that is known, for so long. It is false while another
	// holds it, and while the sink rests.
	ClaimSink(ctx context.Context, sink, holder string, long time.Duration) (bool, error)
	// AlertsSent records what a sink was told, and lets it rest.
	AlertsSent(ctx context.Context, sink, holder string, told []Record, rest time.Duration) error
	// SinkFailed records that a sink could not be told, and lets it rest.
	SinkFailed(ctx context.Context, sink, holder, why string, rest time.Duration) error
	// ForgetAlerts removes what has been over for so long.
	ForgetAlerts(ctx context.Context, after time.Duration) error
}

// Mail is what a sink may have to be told.
type Mail struct {
	Records []Record // that fire, or were resolved within the last day
	Now     time.Time
	Sink    SinkState
}

// SinkState is how the sending to a sink goes.
type SinkState struct {
	Name     string    `json:"name"`
	Since    time.Time `json:"-"` // when it became known
	Next     time.Time `json:"-"` // it rests until then
	Failures int       `json:"failures" doc:"in a row"`
	Error    string    `json:"error,omitempty" doc:"of the last failure, if it failed since it was last told something"`
}
