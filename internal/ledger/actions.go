package ledger

import (
	"context"
	"fmt"
	"time"
)

// Action is something that somebody did, or tried to do, over HTTP.
type Action struct {
	Who    string
	Role   string
	Client string // the address it came from
	Action string // method and path
	Reason string // empty: none was given
	Change string // what it has changed, where the path alone does not say
	Status int    // of the answer
	At     time.Time
}

// actionsKept is how long actions are kept, in microseconds: 400 days.
const actionsKept = 400 * 24 * 3600 * 1_000_000

// Record writes an action down, and forgets those that are too old.
func (s *Store) Record(ctx context.Context, a Action) error {
	if _, err := s.exec(ctx, s.db, `DELETE FROM actions WHERE at_us < :now - ?`, actionsKept); err != nil {
		return fmt.Errorf("forget actions: %w", err)
	}
	_, err := s.exec(ctx, s.db, `INSERT INTO actions (who, role, client, action, reason, changed, status, at_us) VALUES (?, ?, ?, ?, ?, ?, ?, :now)`,
		clipWho(a.Who), a.Role, first(a.Client, 64), first(a.Action, 512), first(a.Reason, 500), first(a.Change, 2000), a.Status)
	if err != nil {
		return fmt.Errorf("record action: %w", err)
	}
	return nil
}

// Actions are the newest that are older than before, newest first; zero: from the newest on.
func (s *Store) Actions(ctx context.Context, before time.Time, limit int) ([]Action, error) {
	where, args := "1 = 1", []any{}
	if !before.IsZero() {
		where, args = "at_us < ?", append(args, micros(before))
	}
	rows, err := s.db.QueryContext(ctx, `SELECT who, role, client, action, reason, changed, status, at_us FROM actions WHERE `+where+` ORDER BY at_us DESC, id DESC LIMIT ?`,
		append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list actions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Action
	for rows.Next() {
		var a Action
		var at int64
		if err := rows.Scan(&a.Who, &a.Role, &a.Client, &a.Action, &a.Reason, &a.Change, &a.Status, &at); err != nil {
			return nil, fmt.Errorf("list actions: %w", err)
		}
		a.At = fromMicros(at)
		all = append(all, a)
	}
	return all, rows.Err()
}

// first fits a text into a column of n characters.
func first(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}
