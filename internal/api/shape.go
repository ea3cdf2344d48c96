package api

import (
	"time"

	"github.com/prewarm-go/prewarm/internal/intake"
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

	Reason        string          `json:"reason" doc:"why skipped or cancelled"`
	RequestID     string          `json:"request_id"`
	Tier          string          `json:"tier"`
	Force         bool            `json:"force"`
	Urgent        bool            `json:"urgent" doc:"in the urgent lane"`
	CreatedAt     *time.Time      `json:"created_at"`
	UnitsTotal    int             `json:"units_total"`
	UnitsDone     int             `json:"units_done"`
	UnitsFailed   int             `json:"units_failed"`
	MarginSeconds *int64          `json:"margin_seconds" doc:"of a ready run: how long before its deadline; negative: late"`
	ETASeconds    *int64          `json:"eta_seconds" doc:"until ready, at the speed so far"`
	WaitsFor      string          `json:"waits_for" doc:"why it does not move; empty: it does, or it has ended"`
	Stage         string          `json:"stage" enum:"not_started,planned,paused,loading,ready,failed,cancelled,skipped"`
	Status        *int            `json:"status" enum:"-2,-1,0,1" doc:"-2 cancelled, -1 failed, 0 open, 1 ready; null: skipped"`
	Paused        string          `json:"paused" doc:"who paused what, and why; empty: it is not paused"`
	Verdict       *intake.Verdict `json:"verdict" doc:"of an open run: whether it will be in time; null: not known"`
}

// Unit is a part of a run. From, to and cursor are JSON arrays of key values as text; empty: the beginning, open-ended,
// nothing written yet.
type Unit struct {
	Unit      int    `json:"unit"`
	Dataset   string `json:"dataset"`
	Cache     string `json:"cache" doc:"the cache that it is loaded into, as its run was planned"`
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
	ClaimedAt     *time.Time `json:"claimed_at" doc:"when the newest claim was made"`
	MovedAt       *time.Time `json:"moved_at" doc:"when it last changed; of a running unit: its last page"`
	Recovers      int64      `json:"recovers" doc:"the last claim that failed or was taken over, which the claims after it make good; 0: none"`
}

// Event is one entry of a run's timeline.
type Event struct {
	At       *time.Time `json:"at"`
	Stage    string     `json:"stage" doc:"accepted, planned, started, ready, failed, cancelled, paused, taken_over …"`
	Scope    string     `json:"scope" enum:"run,shop,all" doc:"what it happened to"`
	Epoch    int        `json:"epoch"`
	Unit     *int       `json:"unit" doc:"null: to the run as a whole"`
	Claim    int64      `json:"claim,omitempty"`
	Recovers int64      `json:"recovers,omitempty" doc:"the claim whose failure this one makes good"`
	Who      string     `json:"who"`
	Message  string     `json:"message"`
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
	Rows      int64      `json:"rows_written" doc:"since it started"`
	StartedAt *time.Time `json:"started_at"`
	SeenAt    *time.Time `json:"seen_at" doc:"its last heartbeat"`
}

func runOf(s Story, now time.Time) Run {
	r := s.Run
	return Run{
		RunID: r.ID, ShopID: r.ShopID, BroadcastID: r.BroadcastID, State: string(r.State), Late: r.Late,
		RowsDone: r.RowsDone, RowsEstimated: r.RowsEstimated, StartsAt: at(r.StartsAt), EndsAt: at(r.EndsAt),
		Deadline: at(r.Deadline), PlannedStart: at(r.PlannedStart), StartedAt: at(r.StartedAt), ReadyAt: at(r.ReadyAt),
		Epoch: r.Epoch, Attempts: r.Attempts, LastError: r.LastError, Reason: r.Reason, RequestID: r.RequestID,
		Tier: r.Tier, Force: r.Force, Urgent: r.Urgent, CreatedAt: at(r.CreatedAt),
		UnitsTotal: r.UnitsTotal, UnitsDone: r.UnitsDone, UnitsFailed: r.UnitsFailed,
		MarginSeconds: margin(r), ETASeconds: eta(r, now), WaitsFor: waitsFor(s, now),
		Stage: stage(s), Status: status(r.State), Paused: paused(s, ""), Verdict: verdictOf(s),
	}
}

func unitsOf(units []ledger.Unit) []Unit {
	list := make([]Unit, len(units))
	for i, u := range units {
		list[i] = Unit{
			Unit: u.Unit, Dataset: u.Dataset, Cache: u.Cache, State: string(u.State), From: u.From, To: u.To, Cursor: u.Cursor,
			RowsDone: u.RowsDone, Attempts: u.Attempts, Claim: u.Claim, Owner: u.Owner, LastError: u.LastError,
			RowsEstimated: u.RowsEstimated, Rejects: u.Rejects, StartedAt: at(u.StartedAt), FinishedAt: at(u.FinishedAt),
			ClaimedAt: at(u.ClaimedAt), MovedAt: at(u.UpdatedAt), Recovers: u.Recovers,
		}
	}
	return list
}

func timelineOf(events []ledger.Event) []Event {
	list := make([]Event, len(events))
	for i, e := range events {
		list[i] = Event{At: at(e.At), Stage: e.Stage, Scope: ledger.ScopeRun, Epoch: e.Epoch, Claim: e.Claim, Recovers: e.Recovers,
			Who: e.Who, Message: e.Message}
		switch {
		case e.RunID == "" && e.ShopID == "":
			list[i].Scope = ledger.ScopeAll
		case e.RunID == "":
			list[i].Scope = ledger.ScopeShop
		}
		if e.Unit >= 0 {
			list[i].Unit = &e.Unit
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
		list[i] = Pod{Pod: p.ID, Version: p.Version, Slots: p.Slots, Rows: p.Rows, StartedAt: at(p.StartedAt), SeenAt: at(p.BeatAt)}
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
