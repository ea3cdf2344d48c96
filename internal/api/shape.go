package api

import (
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Run is a run as the API shows it. Fields are added and never renamed. Times are UTC; null: not yet.
type Run struct {
	RunID         string     `json:"run_id"`
	ShopID        string     `json:"shop_id"`
	BroadcastID   string     `json:"broadcast_id"`
	State         string     `json:"state" enum:"planned,warming,ready,failed,cancelled,skipped"`
	Late          bool       `json:"late" doc:"ready after its deadline"`
	RowsDone      int64      `json:"rows_done"`
	RowsEstimated int64      `json:"rows_estimated"`
	StartsAt      *time.Time `json:"starts_at"`
	EndsAt        *time.Time `json:"ends_at"`
	Deadline      *time.Time `json:"deadline"`
	PlannedStart  *time.Time `json:"planned_start"`
	StartedAt     *time.Time `json:"started_at"`
	ReadyAt       *time.Time `json:"ready_at"`
	Epoch         int        `json:"epoch" doc:"grows with each restart"`
	Attempts      int        `json:"attempts"`
	LastError     string     `json:"last_error"`

	Reason        string     `json:"reason" doc:"why skipped or cancelled"`
	RequestID     string     `json:"request_id"`
	Tier          string     `json:"tier"`
	Force         bool       `json:"force"`
	Urgent        bool       `json:"urgent" doc:"in the urgent lane"`
	CreatedAt     *time.Time `json:"created_at"`
	UnitsTotal    int        `json:"units_total"`
	UnitsDone     int        `json:"units_done"`
	UnitsFailed   int        `json:"units_failed"`
	MarginSeconds *int64     `json:"margin_seconds" doc:"of a ready run: how long before its deadline; negative: late"`
	ETASeconds    *int64     `json:"eta_seconds" doc:"until ready, at the speed so far"`
	WaitsFor      string     `json:"waits_for" doc:"why it does not move; empty: it does, or it has ended"`
}

// Unit is a part of a run. From, to and cursor are JSON arrays of key values as text; empty: the beginning, open-ended,
// nothing written yet.
type Unit struct {
	Unit      int    `json:"unit"`
	Dataset   string `json:"dataset"`
	State     string `json:"state" enum:"waiting,running,done,failed,cancelled"`
	From      string `json:"from" doc:"keys greater than this"`
	To        string `json:"to" doc:"up to and including this"`
	Cursor    string `json:"cursor" doc:"written so far"`
	RowsDone  int64  `json:"rows_done"`
	Attempts  int    `json:"attempts"`
	Claim     int64  `json:"claim"`
	Owner     string `json:"owner" doc:"pod that holds or last held it"`
	LastError string `json:"last_error"`

	RowsEstimated int64      `json:"rows_estimated"`
	Rejects       int64      `json:"rejects"`
	StartedAt     *time.Time `json:"started_at"`
	FinishedAt    *time.Time `json:"finished_at"`
}

// Reject is a row that could not be encoded.
type Reject struct {
	Unit    int        `json:"unit"`
	Dataset string     `json:"dataset"`
	RowKey  string     `json:"row_key"`
	Error   string     `json:"error"`
	At      *time.Time `json:"at"`
}

// Pod is a process of the cluster.
type Pod struct {
	Pod       string     `json:"pod"`
	Version   string     `json:"version"`
	Slots     int        `json:"slots"`
	StartedAt *time.Time `json:"started_at"`
	SeenAt    *time.Time `json:"seen_at" doc:"its last heartbeat"`
}

// WidthNow answers GET /v1/width.
type WidthNow struct {
	Width     int    `json:"width" doc:"slots that the cluster should use"`
	Actual    int    `json:"actual" doc:"slots that it uses"`
	Min       int    `json:"min"`
	Max       int    `json:"max"`
	MaxPerPod int    `json:"max_per_pod"`
	Pods      int    `json:"pods"`
	Reason    string `json:"reason" doc:"where width comes from"`
}

func runOf(r ledger.Run, units []ledger.Unit, now time.Time) Run {
	return Run{
		RunID: r.ID, ShopID: r.ShopID, BroadcastID: r.BroadcastID, State: string(r.State), Late: r.Late,
		RowsDone: r.RowsDone, RowsEstimated: r.RowsEstimated, StartsAt: at(r.StartsAt), EndsAt: at(r.EndsAt),
		Deadline: at(r.Deadline), PlannedStart: at(r.PlannedStart), StartedAt: at(r.StartedAt), ReadyAt: at(r.ReadyAt),
		Epoch: r.Epoch, Attempts: r.Attempts, LastError: r.LastError, Reason: r.Reason, RequestID: r.RequestID,
		Tier: r.Tier, Force: r.Force, Urgent: r.Urgent, CreatedAt: at(r.CreatedAt),
		UnitsTotal: r.UnitsTotal, UnitsDone: r.UnitsDone, UnitsFailed: r.UnitsFailed,
		MarginSeconds: margin(r), ETASeconds: eta(r, now), WaitsFor: waitsFor(r, units, now),
	}
}

func unitsOf(units []ledger.Unit) []Unit {
	list := make([]Unit, len(units))
	for i, u := range units {
		list[i] = Unit{
			Unit: u.Unit, Dataset: u.Dataset, State: string(u.State), From: u.From, To: u.To, Cursor: u.Cursor,
			RowsDone: u.RowsDone, Attempts: u.Attempts, Claim: u.Claim, Owner: u.Owner, LastError: u.LastError,
			RowsEstimated: u.RowsEstimated, Rejects: u.Rejects, StartedAt: at(u.StartedAt), FinishedAt: at(u.FinishedAt),
		}
	}
	return list
}

func rejectsOf(rows []ledger.RejectedRow) []Reject {
	list := make([]Reject, len(rows))
	for i, r := range rows {
		list[i] = Reject{Unit: r.Unit, Dataset: r.Dataset, RowKey: r.RowKey, Error: r.Error, At: at(r.At)}
	}
	return list
}

func podsOf(pods []ledger.Pod) []Pod {
	list := make([]Pod, len(pods))
	for i, p := range pods {
		list[i] = Pod{Pod: p.ID, Version: p.Version, Slots: p.Slots, StartedAt: at(p.StartedAt), SeenAt: at(p.BeatAt)}
	}
	return list
}

// at is null for a time that has not come.
func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
