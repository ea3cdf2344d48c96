// Package report owns the summary of a day: what became of its shops, which failures were made good and which were not, who was
// late and where the time went. It is made from what the ledger holds, by pure functions; callers gather that and show it.
package report

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Input is what the ledger holds of a day.
type Input struct {
	Day       string
	From, To  time.Time // the day's bounds; runs are of the day in which their broadcast starts
	Now       time.Time // the ledger's clock
	Runs      []ledger.Run
	Units     map[string][]ledger.Unit    // by run
	Attempts  map[string][]ledger.Attempt // by run
	Throttles []ledger.Throttle
	Requests  []ledger.Request
	Audits    []ledger.Audit
	Reads     Reads // of the applications that count them
}

// Report is the summary of a day. Durations are seconds.
type Report struct {
	Day      string         `json:"day"`
	From     time.Time      `json:"from"`
	To       time.Time      `json:"to"`
	Shops    int            `json:"shops"`
	Runs     int            `json:"runs"`
	Outcomes map[string]int `json:"outcomes" doc:"runs by outcome: in_time, late, failed, cancelled, skipped, running, waiting"`

	Failed    []Line     `json:"failed" doc:"and not recovered"`
	Recovered []Recovery `json:"recovered" doc:"failures that were made good, and by which attempt"`
	Running   []Line     `json:"running"`
	Waiting   []Line     `json:"waiting"`
	Late      []Late     `json:"late"`

	RowsEstimated int64          `json:"rows_estimated"`
	Rows          int64          `json:"rows"`
	Bytes         int64          `json:"bytes"`
	SourceSeconds float64        `json:"source_seconds" doc:"time of the statements that read the sources"`
	SlotSeconds   float64        `json:"slot_seconds" doc:"time of all attempts"`
	Broadcasts    map[string]int `json:"broadcasts" doc:"announced that day, by outcome: accepted, duplicate, rescheduled …"`
	Audits        Audits         `json:"audits"`
	Reads         Reads          `json:"reads" doc:"of the day's shops, by applications that count them; the day is the UTC one"`
}

// Line is a run in a list.
type Line struct {
	RunID       string    `json:"run_id"`
	ShopID      string    `json:"shop_id"`
	BroadcastID string    `json:"broadcast_id"`
	Deadline    time.Time `json:"deadline"`
	Rows        int64     `json:"rows"`
	Estimated   int64     `json:"rows_estimated"`
	Why         string    `json:"why"`
}

// Recovery is a failure that was made good.
type Recovery struct {
	RunID   string `json:"run_id"`
	ShopID  string `json:"shop_id"`
	Unit    int    `json:"unit"`
	Dataset string `json:"dataset"`
	Failed  int64  `json:"failed_claim" doc:"the last claim that failed or was taken over"`
	By      int64  `json:"recovered_by" doc:"the claim that made it good"`
}

// Late is a run that was not ready at its deadline, with its time.
type Late struct {
	Line
	LateSeconds  float64 `json:"late_seconds" doc:"of a run that was never ready: until its end, or now"`
	WholeSeconds float64 `json:"whole_seconds" doc:"from when it could have begun until it was ready"`
	Parts        Parts   `json:"parts" doc:"they add up to the whole"`
}

// Reads are what applications have read. A hit is a read that the source did not get.
type Reads struct {
	Hits   int64 `json:"hits"`
	Misses int64 `json:"misses"`
}

// Audits sum up the day's audits.
type Audits struct {
	Audits   int   `json:"audits"`
	Failed   int   `json:"failed"`
	Broken   int   `json:"broken"`
	Keys     int64 `json:"keys"`
	Wrong    int64 `json:"wrong"`
	Repaired int64 `json:"repaired"`
}

// Outcomes of runs.
const (
	InTime    = "in_time"
	TooLate   = "late"
	Failed    = "failed"
	Cancelled = "cancelled"
	Skipped   = "skipped"
	Running   = "running"
	Waiting   = "waiting"
)

// outcome is pure: what became of a run.
func outcome(r ledger.Run) string {
	switch r.State {
	case ledger.RunReady:
		if r.Late {
			return TooLate
		}
		return InTime
	case ledger.RunWarming:
		return Running
	case ledger.RunPlanned:
		return Waiting
	case ledger.RunFailed:
		return Failed
	case ledger.RunCancelled:
		return Cancelled
	default:
		return Skipped
	}
}

// Build is pure: the report.
func Build(in Input) Report {
	r := Report{Day: in.Day, From: in.From, To: in.To, Reads: in.Reads, Outcomes: map[string]int{}, Broadcasts: map[string]int{},
		Failed: []Line{}, Recovered: []Recovery{}, Running: []Line{}, Waiting: []Line{}, Late: []Late{}}
	shops := map[string]bool{}
	for _, run := range in.Runs {
		shops[run.ShopID] = true
		r.Runs++
		r.add(in, run)
	}
	r.Shops = len(shops)
	slices.SortStableFunc(r.Late, func(a, b Late) int { return cmp.Compare(b.LateSeconds, a.LateSeconds) })
	for _, q := range in.Requests {
		var outcomes []struct{ Outcome string }
		if json.Unmarshal([]byte(q.Outcomes), &outcomes) == nil {
			for _, o := range outcomes {
				r.Broadcasts[o.Outcome]++
			}
		}
	}
	for _, a := range in.Audits {
		r.Audits.add(a)
	}
	return r
}

func (r *Report) add(in Input, run ledger.Run) {
	what := outcome(run)
	r.Outcomes[what]++
	line := Line{run.ID, run.ShopID, run.BroadcastID, run.Deadline, run.RowsDone, run.RowsEstimated, cmp.Or(run.LastError, run.Reason)}
	switch what {
	case Failed:
		r.Failed = append(r.Failed, line)
	case Running:
		r.Running = append(r.Running, line)
	case Waiting:
		r.Waiting = append(r.Waiting, line)
	}
	if what == Skipped || what == Cancelled && run.StartedAt.IsZero() {
		return
	}
	r.RowsEstimated += run.RowsEstimated
	r.Rows += run.RowsDone
	for _, a := range in.Attempts[run.ID] {
		r.Bytes += a.Bytes
		r.SourceSeconds += a.DB.Seconds()
		r.SlotSeconds += a.To.Sub(a.From).Seconds()
	}
	for _, u := range in.Units[run.ID] {
		if u.Recovers > 0 && u.State == ledger.UnitDone {
			r.Recovered = append(r.Recovered, Recovery{run.ID, run.ShopID, u.Unit, u.Dataset, u.Recovers, u.Claim})
		}
	}
	end := run.ReadyAt
	if end.IsZero() {
		end = earlier(in.Now, run.EndsAt)
	}
	if what != Cancelled && end.After(run.Deadline) && run.Deadline.After(run.CreatedAt) {
		whole, parts := split(run, in.Units[run.ID], in.Attempts[run.ID], in.Throttles, end)
		r.Late = append(r.Late, Late{line, end.Sub(run.Deadline).Seconds(), whole.Seconds(), parts})
	}
}

func (a *Audits) add(x ledger.Audit) {
	a.Audits++
	a.Keys += x.Keys
	a.Wrong += x.Wrong()
	a.Repaired += x.Repaired
	switch x.State {
	case ledger.AuditFailed:
		a.Failed++
	case ledger.AuditBroken:
		a.Broken++
	case ledger.AuditWaiting, ledger.AuditRunning, ledger.AuditPassed:
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// causes are the keys of a map of seconds, the most first.
func causes(m map[string]float64) []string {
	return slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
}
