package ledger

import (
	"context"
	"fmt"
	"time"
)

// Stages of a run's timeline, as its events name them.
const (
	StageAccepted     = "accepted"
	StageSkipped      = "skipped"
	StagePlanned      = "planned"
	StageStarted      = "started" // the first unit of an epoch was claimed
	StageReady        = "ready"
	StageFailed       = "failed"
	StageCancelled    = "cancelled"
	StageRescheduled  = "rescheduled"
	StageMoved        = "moved" // the plan moved the start
	StageRetried      = "retried"
	StageRestarted    = "restarted"
	StagePaused       = "paused"
	StageResumed      = "resumed"
	StageOvertime     = "overtime"
	StageCacheLost    = "cache_lost"
	StageSettings     = "settings"       // of a shop were changed
	StageWidth        = "width"          // somebody set the width by hand, or ended that
	StageAttemptEnded = "attempt_failed" // of a unit, and so are those that follow
	StageExtended     = "expiries_moved" // of all of its dataset's keys
	StageHandedBack   = "handed_back"
	StageTakenOver    = "taken_over"
	StageRecovering   = "recovering" // claimed again after an attempt that failed or was taken over
)

// By says who did something, and why. Who is a pod's id, "reconciliation", or a person with the way they came.
type By struct{ Who, Why string }

// reconciliation is who stands in the timeline for what the leader does.
const reconciliation = "reconciliation"

// Event is one entry of a timeline. It is written in the transaction of what it tells.
type Event struct {
	RunID    string // empty: of a shop or of everything
	ShopID   string // set if RunID is empty and the event is a shop's
	Epoch    int
	Unit     int   // -1: of the run
	Claim    int64 // of a unit
	Recovers int64 // the claim whose failure this one makes good; 0: none
	Stage    string
	Who      string
	Message  string
	At       time.Time
}

func unitEvent(u Unit, stage, who, message string) Event {
	return Event{RunID: u.RunID, Epoch: u.Epoch, Unit: u.Unit, Claim: u.Claim, Stage: stage, Who: who, Message: message}
}

func runEvent(run string, epoch int, stage string, by By) Event {
	return Event{RunID: run, Epoch: epoch, Unit: -1, Stage: stage, Who: by.Who, Message: by.Why}
}

// delivery is one delivery of a task by the queue.
type delivery struct {
	task  string
	again bool
}

type deliveryKey struct{}

// OfTask marks what is done for a task of the queue: the events that are written with this context carry the task's id. again says
// that the queue has delivered it before: Acted then knows what it did.
func OfTask(ctx context.Context, task string, again bool) context.Context {
	return context.WithValue(ctx, deliveryKey{}, delivery{clipWho(task), again})
}

// Acted says whether the task of OfTask is delivered again and did something to a run when it was delivered before.
func (s *Store) Acted(ctx context.Context, run string) (bool, error) {
	d, _ := ctx.Value(deliveryKey{}).(delivery)
	if !d.again || d.task == "" {
		return false, nil
	}
	var n int
	if err := s.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM events WHERE run_id = ? AND task = ?`, run, d.task).Scan(&n); err != nil {
		return false, fmt.Errorf("read what a task did before: %w", err)
	}
	return n > 0, nil
}

// note writes an event. An epoch of 0 is the run's present one.
func (s *Store) note(ctx context.Context, on execer, e Event) error {
	epoch, args := "?", []any{e.RunID, e.ShopID, e.Epoch}
	if e.Epoch == 0 && e.RunID != "" {
		epoch, args[2] = "COALESCE((SELECT epoch FROM runs WHERE run_id = ?), 0)", e.RunID
	}
	by, _ := ctx.Value(deliveryKey{}).(delivery)
	args = append(args, e.Unit, e.Claim, e.Recovers, e.Stage, clipWho(e.Who), clip(e.Message), by.task)
	if _, err := s.exec(ctx, on, `INSERT INTO events (run_id, shop_id, epoch, unit, claim, recovers, stage, who, message, task, at_us)
		VALUES (?, ?, `+epoch+`, ?, ?, ?, ?, ?, ?, ?, :now)`, args...); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return nil
}

// NoteOnce writes an event of a run unless its epoch has one of the same stage, and says whether it did.
func (s *Store) NoteOnce(ctx context.Context, e Event) (bool, error) {
	n, err := s.exec(ctx, s.db, `INSERT INTO events (run_id, epoch, unit, stage, who, message, at_us)
		SELECT r.run_id, r.epoch, -1, ?, ?, ?, :now FROM runs r WHERE r.run_id = ? AND r.epoch = ?
		AND NOT EXISTS (SELECT 1 FROM events e WHERE e.run_id = r.run_id AND e.epoch = r.epoch AND e.stage = ?)`,
		e.Stage, clipWho(e.Who), clip(e.Message), e.RunID, e.Epoch, e.Stage)
	if err != nil {
		return false, fmt.Errorf("write event: %w", err)
	}
	return n > 0, nil
}

// Timeline is what happened to a run, oldest first, at most the newest limit entries: its own events, and those of its
// shop and of everything since it was made.
func (s *Store) Timeline(ctx context.Context, run Run, limit int) ([]Event, error) {
	const columns = `id, run_id, shop_id, epoch, unit, claim, recovers, stage, who, message, at_us`
	rows, err := s.db.QueryContext(ctx, `SELECT `+columns+` FROM (
		SELECT `+columns+` FROM events WHERE run_id = ? OR (run_id = '' AND shop_id IN ('', ?) AND at_us >= ?)
		ORDER BY id DESC LIMIT ?) e ORDER BY id`, run.ID, run.ShopID, micros(run.CreatedAt), limit)
	if err != nil {
		return nil, fmt.Errorf("read timeline: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var events []Event
	for rows.Next() {
		var e Event
		var id, at int64
		if err := rows.Scan(&id, &e.RunID, &e.ShopID, &e.Epoch, &e.Unit, &e.Claim, &e.Recovers, &e.Stage, &e.Who, &e.Message, &at); err != nil {
			return nil, fmt.Errorf("read timeline: %w", err)
		}
		e.At = fromMicros(at)
		events = append(events, e)
	}
	return events, rows.Err()
}

// clipWho fits a name into its column.
func clipWho(who string) string { return first(who, 190) }
