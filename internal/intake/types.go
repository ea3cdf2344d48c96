package intake

import "errors"

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
}

// Answer is what became of a request, in the order of its broadcasts.
type Answer struct {
	RequestID string    `json:"request_id"`
	Outcomes  []Outcome `json:"outcomes"`
}
