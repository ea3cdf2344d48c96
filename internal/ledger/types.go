package ledger

import (
	"cmp"
	"errors"
	"time"
)

// RunState is where a run stands. Late is a property of a ready run, not a state.
type RunState string

// Run states; see doc.go for the moves between them.
const (
	RunPlanned   RunState = "planned"
	RunWarming   RunState = "warming"
	RunReady     RunState = "ready"
	RunFailed    RunState = "failed"
	RunCancelled RunState = "cancelled"
	RunSkipped   RunState = "skipped"
)

// UnitState is where a unit stands.
type UnitState string

// Unit states; see doc.go for the moves between them.
const (
	UnitWaiting   UnitState = "waiting"
	UnitRunning   UnitState = "running"
	UnitDone      UnitState = "done"
	UnitFailed    UnitState = "failed"
	UnitCancelled UnitState = "cancelled"
)

// Errors that callers branch on.
var (
	// ErrNotFound: no such run or unit.
	ErrNotFound = errors.New("not found in the ledger")
	// ErrNotClaimable: the unit is not the caller's to take (taken, done, superseded, of an older epoch). Drop the task.
	ErrNotClaimable = errors.New("unit cannot be claimed")
	// ErrFenced: the claim is no longer the newest, or the unit was cancelled. Stop at once and write nothing more.
	ErrFenced = errors.New("claim was superseded")
	// ErrState: the run is in a state that does not allow the move that was asked for.
	ErrState = errors.New("run is in another state")
)

// Run is one warming of one shop for one broadcast. Zero times mean "not yet".
type Run struct {
	ID           string // 32 hex digits, time-ordered
	ShopID       string
	BroadcastID  string
	RequestID    string // the request that made or last moved it
	Tier         string
	Force        bool
	StartsAt     time.Time
	EndsAt       time.Time
	Deadline     time.Time
	PlannedStart time.Time
	State        RunState
	Reason       string // why skipped or cancelled
	Epoch        int    // grows with each restart; starts at 1
	Attempts     int    // how often the whole run was started, resumed or restarted
	LastError    string
	Late         bool
	Urgent       bool      // runs in the urgent lane
	PlannedAt    time.Time // when its units were written; zero: not planned yet
	StartedAt    time.Time // first unit claimed
	ReadyAt      time.Time
	FlaggedAt    time.Time // the ready flag was set in Redis
	AuditedAt    time.Time // it passed an audit; see Vouched
	CreatedAt    time.Time
	UpdatedAt    time.Time
	AfterEnd     time.Duration // how long its keys outlive EndsAt, as it was planned; 0: as policy.expire.after_end says

	RowsEstimated int64 // from the plan
	// Sums over the units of the present epoch, filled by reads:
	RowsDone    int64
	UnitsTotal  int
	UnitsDone   int
	UnitsFailed int
}

// Vouched says whether a ready run has passed an audit since it was loaded.
func (r Run) Vouched() bool { return !r.ReadyAt.IsZero() && !r.AuditedAt.Before(r.ReadyAt) }

// KeysUntil is until when a run needs its keys. policy is policy.expire.after_end.
func (r Run) KeysUntil(policy time.Duration) time.Time {
	return r.EndsAt.Add(cmp.Or(r.AfterEnd, policy))
}

// Unit is a part of a run that one slot loads: a small dataset whole, or one key range (From, To] of a big one.
// From, To and Cursor are JSON arrays of key values in MySQL's text form, one per column of `by`; From "" is the
// beginning, To "" is open-ended, Cursor "" is nothing written yet.
type Unit struct {
	RunID         string
	Epoch         int
	Unit          int
	Dataset       string
	Cache         string // that it is loaded into, by its name: as the run was planned
	State         UnitState
	From          string
	To            string
	Cursor        string
	RowsEstimated int64
	Since         Since // what it does not load of its rows; for WritePlan, and then it is its run's Part
	RowsDone      int64
	Pages         int64
	Rejects       int64
	Attempts      int    // claims that were not handed back
	Claim         int64  // the fence: grows with each claim and each take-over
	Owner         string // pod that holds or last held the claim
	ClaimedAt     time.Time
	Recovers      int64     // the last claim that failed or was taken over; 0: none. The claims after it make it good
	AsOf          time.Time // the source's clock when its reading began; zero: not yet
	Marked        int64     // pages that the cache's marks vouch for; see cache.Stamp
	Touch         bool      // keys up to the cursor must get the broadcast's new expiry before going on
	Carries       bool      // with Touch: it is loaded, and sees to the keys of all of its dataset's finished units
	TaskSeq       int       // newest task made for the unit; older tasks are dropped
	LastError     string
	StartedAt     time.Time
	UpdatedAt     time.Time
	FinishedAt    time.Time
}

// Reject is a row that could not be encoded.
type Reject struct {
	RowKey string // the row's key columns, readable
	Error  string
}
