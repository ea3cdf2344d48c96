package intake

import (
	"errors"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Outcomes of one broadcast of a request.
const (
	Accepted    = "accepted"
	Duplicate   = "duplicate"
	Rescheduled = "rescheduled"
	Cancelled   = "cancelled"
	Resumed     = "resumed"
	Skipped     = "skipped"
	Invalid     = "invalid"
)

// Errors of a whole request; what is wrong with one broadcast is its outcome instead.
var (
	// ErrMalformed: the document is not JSON, or has no list of broadcasts.
	ErrMalformed = errors.New("malformed request")
	// ErrTooLarge: more broadcasts than one request may carry.
	ErrTooLarge = errors.New("request is too large")
)

// Outcome is what became of one broadcast.
type Outcome struct {
	BroadcastID string `json:"broadcast_id"`
	ShopID      string `json:"shop_id"`
	Outcome     string `json:"outcome"`
	RunID       string `json:"run_id,omitempty"`
	Reason      string `json:"reason,omitempty"`

	Verdict *Verdict `json:"verdict,omitempty" doc:"whether it will be in time, of what is to be loaded"`

	idle bool // there is a run, and nothing is to be loaded for it
}

// Unknown is the state of a verdict that could not be given yet.
const Unknown = "unknown"

// Verdict is what will become of an open run.
type Verdict struct {
	State         string     `json:"state" enum:"feasible,at risk,infeasible,unknown"`
	Finish        *time.Time `json:"finish" doc:"expected"`
	Finish95      *time.Time `json:"finish_95" doc:"not exceeded with 95 % certainty"`
	MarginSeconds int64      `json:"margin_seconds" doc:"from finish to deadline; negative: late"`
	MinutesLate   int64      `json:"minutes_late" doc:"expected, rounded up; 0: in time"`
	Reason        string     `json:"reason"`
	Remedy        string     `json:"remedy" doc:"what would help, the cheapest first"`
}

// Judged is a run that was just accepted or moved, and is to get its verdict.
type Judged struct {
	RunID string
	Tier  string
	Times ledger.Times
	Rows  map[string]int64 // to be loaded, by dataset, estimated; nil: the source did not answer in time
}

// Answer is what became of a request, in the order of its broadcasts.
type Answer struct {
	RequestID string    `json:"request_id"`
	Outcomes  []Outcome `json:"outcomes"`
}
