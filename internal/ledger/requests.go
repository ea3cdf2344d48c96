package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Request is one request as it was answered: a batch of broadcasts.
type Request struct {
	ID         string
	RequestID  string // upstream's name for it, which it may use again
	Via        string
	Broadcasts int
	Accepted   int    // of them, anew and not by hand; 0 when it is read
	Outcomes   string // JSON
	ReceivedAt time.Time
}

// SaveRequest records a request and its outcomes.
func (s *Store) SaveRequest(ctx context.Context, r Request) error {
	if _, err := s.exec(ctx, s.db, `INSERT INTO requests (id, request_id, via, broadcasts, accepted, outcomes, received_us) VALUES (?, ?, ?, ?, ?, ?, :now)`,
		r.ID, r.RequestID, r.Via, r.Broadcasts, r.Accepted, r.Outcomes); err != nil {
		return fmt.Errorf("record request: %w", err)
	}
	return nil
}

const requestColumns = `id, request_id, via, broadcasts, outcomes, received_us`

func scanRequest(row scanner) (Request, error) {
	var r Request
	var us int64
	err := row.Scan(&r.ID, &r.RequestID, &r.Via, &r.Broadcasts, &r.Outcomes, &us)
	if errors.Is(err, sql.ErrNoRows) {
		return Request{}, ErrNotFound
	}
	if err != nil {
		return Request{}, fmt.Errorf("read request: %w", err)
	}
	r.ReceivedAt = fromMicros(us)
	return r, nil
}

// Request is the newest request of an id, the ledger's own or upstream's, or ErrNotFound.
func (s *Store) Request(ctx context.Context, id string) (Request, error) {
	return scanRequest(s.db.QueryRowContext(ctx, `SELECT `+requestColumns+` FROM requests WHERE id = ? OR request_id = ?
		ORDER BY received_us DESC LIMIT 1`, id, id))
}

// Requests are requests, newest first, from before a time on (zero: from the newest on).
func (s *Store) Requests(ctx context.Context, before time.Time, limit int) ([]Request, error) {
	if before.IsZero() {
		before = time.Now().AddDate(1, 0, 0)
	}
	rows, err := s.db.QueryContext(ctx, `SELECT `+requestColumns+` FROM requests WHERE received_us < ? ORDER BY received_us DESC LIMIT ?`, micros(before), limit)
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Request
	for rows.Next() {
		r, err := scanRequest(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// IntakeDay is what upstream announced in a time and was accepted anew; zero: nothing.
type IntakeDay struct {
	First, Last time.Time // requests that brought something
	Accepted    int       // broadcasts
}

// IntakeOn sums up the requests received in [from, to).
func (s *Store) IntakeOn(ctx context.Context, from, to time.Time) (d IntakeDay, err error) {
	var first, last int64
	err = s.db.QueryRowContext(ctx, `SELECT COALESCE(MIN(received_us), 0), COALESCE(MAX(received_us), 0), COALESCE(SUM(accepted), 0) FROM requests
		WHERE received_us >= ? AND received_us < ? AND accepted > 0`, micros(from), micros(to)).Scan(&first, &last, &d.Accepted)
	if err != nil {
		return IntakeDay{}, fmt.Errorf("sum up requests: %w", err)
	}
	d.First, d.Last = fromMicros(first), fromMicros(last)
	return d, nil
}

// Batch is what has become of the runs of a request.
type Batch struct {
	Runs       int
	States     map[RunState]int
	Late       int
	Rows       int64 // written so far
	Estimated  int64
	StartedAt  time.Time // of the first run
	FinishedAt time.Time // when the last run became ready
}

// Batch sums up runs by their ids.
func (s *Store) Batch(ctx context.Context, runs []string) (Batch, error) {
	b := Batch{States: map[RunState]int{}}
	for len(runs) > 0 {
		part := runs[:min(len(runs), insertRows)]
		runs = runs[len(part):]
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		if err := s.batch(ctx, &b, args); err != nil {
			return Batch{}, err
		}
	}
	return b, nil
}

func (s *Store) batch(ctx context.Context, b *Batch, ids []any) error {
	rows, err := s.db.QueryContext(ctx, runSelect+` WHERE r.run_id IN (`+marks(len(ids))+`) GROUP BY r.run_id`, ids...)
	if err != nil {
		return fmt.Errorf("sum up request: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return err
		}
		b.Runs++
		b.States[r.State]++
		b.Rows += r.RowsDone
		b.Estimated += r.RowsEstimated
		if r.Late {
			b.Late++
		}
		if !r.StartedAt.IsZero() && (b.StartedAt.IsZero() || r.StartedAt.Before(b.StartedAt)) {
			b.StartedAt = r.StartedAt
		}
		if r.ReadyAt.After(b.FinishedAt) {
			b.FinishedAt = r.ReadyAt
		}
	}
	return rows.Err()
}
