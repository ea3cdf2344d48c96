// Package tasks is prewarm's queue contract: the task types, their queues and their JSON payloads. An upstream team
// imports it to announce broadcasts; a plain asynq client that sends the type name and the same JSON works as well.
//
// The package depends on asynq and the standard library only.
package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
)

// Task types. A load task's type is LoadPrefix followed by the dataset's name, so that asynqmon reads `load:users`.
const (
	TypeRequest = "warm:request" // announce broadcasts; payload Request; queue QueueIntake
	TypeChanges = "warm:changes" // tell of rows that changed; payload Changes, or what a change-data tool writes; queue QueueIntake
	TypePlan    = "warm:plan"    // split one accepted run into units; payload Plan; internal
	LoadPrefix  = "load:"        // load one unit; payload Load; internal
)

// Queues. Slots poll QueueUrgent before QueueWarm; QueueIntake has a small fixed server of its own, so that planning
// never waits for loading.
const (
	QueueIntake = "intake"
	QueueUrgent = "urgent"
	QueueWarm   = "warm"
)

// Queues lists every queue that prewarm uses.
var Queues = []string{QueueIntake, QueueUrgent, QueueWarm}

// TierKA is the tier of a key-account shop: it is warmed whatever its size.
const TierKA = "ka"

// Request announces broadcasts. RequestID is the sender's own and only echoed; one is made up if it is empty.
type Request struct {
	RequestID  string      `json:"request_id,omitempty"`
	Broadcasts []Broadcast `json:"broadcasts"`
}

// Broadcast is one live broadcast of one shop. (ShopID, BroadcastID) is its identity: announcing it again with the same
// times is a duplicate, with other times it is rescheduled, with Cancelled it is called off.
type Broadcast struct {
	BroadcastID string    `json:"broadcast_id"`
	ShopID      string    `json:"shop_id"`             // as text, whatever the column type is
	StartsAt    time.Time `json:"starts_at"`           // RFC 3339
	EndsAt      time.Time `json:"ends_at"`             // RFC 3339
	Tier        string    `json:"tier,omitempty"`      // "ka": warm whatever the size
	Cancelled   bool      `json:"cancelled,omitempty"` // called off
	Force       bool      `json:"force,omitempty"`     // warm although the shop is small
}

// NewRequest is the task that announces broadcasts. Enqueue it with any asynq client; it carries its queue.
// An intake that cannot reach its servers is retried by asynq; what is wrong with a broadcast is answered in the
// task's result and never retried.
func NewRequest(r Request) (*asynq.Task, error) {
	payload, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode warm request: %w", err)
	}
	return asynq.NewTask(TypeRequest, payload, asynq.Queue(QueueIntake), asynq.Timeout(5*time.Minute),
		asynq.Retention(12*time.Hour)), nil
}

// Changes tells of rows that changed. The rows are read again from the source, so a message may come twice, late, and in any
// order. Instead of it a task may carry one or more messages of Debezium, Maxwell or Canal (flat), as they are.
type Changes struct {
	Changes []Change `json:"changes"`
}

// Change is one changed row, or with neither Key, Before nor After all of a shop's dataset.
type Change struct {
	Dataset string         `json:"dataset,omitempty"` // its name; or
	Table   string         `json:"table,omitempty"`   // what it is read from
	Shop    string         `json:"shop,omitempty"`    // may be left out where a row names it
	Key     []string       `json:"key,omitempty"`     // the columns of the dataset's `by`, in their order
	Op      string         `json:"op,omitempty"`      // insert, update, delete, hide or refresh (default); delete and hide go first
	Before  map[string]any `json:"before,omitempty"`  // columns as they were; needed where the cache's key holds more than `by`
	After   map[string]any `json:"after,omitempty"`
	Who     string         `json:"who,omitempty"` // who changed it
	At      *time.Time     `json:"at,omitempty"`
}

// NewChanges is the task that tells of changes. Enqueue it with any asynq client; it carries its queue.
func NewChanges(c Changes) (*asynq.Task, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode changes: %w", err)
	}
	return asynq.NewTask(TypeChanges, payload, asynq.Queue(QueueIntake), asynq.Timeout(time.Minute)), nil
}

// Plan asks for one run's plan to be written. Handlers trust nothing but the ledger.
type Plan struct {
	Run   string `json:"run"`
	Epoch int    `json:"epoch"`
}

// Load asks for one unit to be loaded. Handlers use Run, Unit and Epoch only; the rest is for people to read in asynqmon.
type Load struct {
	Run   string `json:"run"`
	Unit  int    `json:"unit"`
	Epoch int    `json:"epoch"`

	Shop    string `json:"shop,omitempty"`
	Dataset string `json:"dataset,omitempty"`
	From    string `json:"from,omitempty"` // keys are greater than this; empty: from the first
	To      string `json:"to,omitempty"`   // keys up to and including this; empty: to the last
}

// LoadID is the id of a unit's task: tasks that are due in the same second run in the order of their ids, so it begins
// with the deadline. seq grows with every task made for the unit; a handler drops all but the newest.
// The alphabet is [A-Za-z0-9_.:]: asynqmon cuts ids at "-" and cannot act on ids with "/".
func LoadID(deadline time.Time, run string, epoch, unit, seq int) string {
	return fmt.Sprintf("%010d.%s.%d.%05d.%d", deadline.Unix(), run, epoch, unit, seq)
}

// SeqOf is the seq of an id that LoadID made.
func SeqOf(id string) (int, error) {
	i := strings.LastIndexByte(id, '.')
	if i < 0 {
		return 0, fmt.Errorf("task id %q was not made by prewarm", id)
	}
	seq, err := strconv.Atoi(id[i+1:])
	if err != nil {
		return 0, fmt.Errorf("task id %q was not made by prewarm", id)
	}
	return seq, nil
}

// RunOf is the run of an id that LoadID made; false for any other id.
func RunOf(id string) (run string, ok bool) {
	parts := strings.Split(id, ".")
	if len(parts) != 5 {
		return "", false
	}
	return parts[1], true
}

// NewLoad is a unit's task. Its queue, id, time and retries are the caller's options.
func NewLoad(l Load, opts ...asynq.Option) (*asynq.Task, error) {
	payload, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode load task: %w", err)
	}
	return asynq.NewTask(LoadPrefix+l.Dataset, payload, opts...), nil
}

// NewPlan is the task that plans a run.
func NewPlan(p Plan, opts ...asynq.Option) (*asynq.Task, error) {
	payload, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode plan task: %w", err)
	}
	return asynq.NewTask(TypePlan, payload, opts...), nil
}

var errNoRun = errors.New(`"run" is missing`)

// ParseLoad reads a load task's payload.
func ParseLoad(payload []byte) (Load, error) {
	var l Load
	if err := json.Unmarshal(payload, &l); err != nil {
		return Load{}, fmt.Errorf("load payload: %w", err)
	}
	if l.Run == "" {
		return Load{}, fmt.Errorf("load payload: %w", errNoRun)
	}
	if l.Unit < 0 || l.Epoch < 1 {
		return Load{}, fmt.Errorf("load payload: unit %d of epoch %d cannot be", l.Unit, l.Epoch)
	}
	return l, nil
}

// ParsePlan reads a plan task's payload.
func ParsePlan(payload []byte) (Plan, error) {
	var p Plan
	if err := json.Unmarshal(payload, &p); err != nil {
		return Plan{}, fmt.Errorf("plan payload: %w", err)
	}
	if p.Run == "" {
		return Plan{}, fmt.Errorf("plan payload: %w", errNoRun)
	}
	return p, nil
}
