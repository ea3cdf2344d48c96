package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
)

var _ alert.Outbox = (*Store)(nil)

// RaiseAlerts makes or renews the records of alerts. One that was resolved fires again, which is told again, and so is a
// new severity.
func (s *Store) RaiseAlerts(ctx context.Context, all []alert.Alert) error {
	for _, a := range all {
		if err := s.raise(ctx, a); err != nil {
			return fmt.Errorf("keep alert %s: %w", a.Name, err)
		}
	}
	return nil
}

// raise renews the record or makes it. MySQL sets columns from left to right and sees what it has set: what is compared
// is set last.
func (s *Store) raise(ctx context.Context, a alert.Alert) error {
	for range 2 { // two pods may find at once that there is no record
		n, err := s.exec(ctx, s.db, `UPDATE alerts SET seq = seq + CASE WHEN state = 'resolved' OR severity <> ? THEN 1 ELSE 0 END,
			since_us = CASE WHEN state = 'resolved' THEN :now ELSE since_us END, times = CASE WHEN state = 'resolved' THEN 1 ELSE times + 1 END,
			state = 'firing', ended = '', resolved_us = 0, severity = ?, summary = ?, why = ?, remedy = ?, raised_us = :now WHERE fingerprint = ?`,
			a.Severity, a.Severity, clip(a.Summary), clip(a.Why), clip(a.Remedy), a.Fingerprint())
		if err != nil || n > 0 {
			return err
		}
		n, err = s.exec(ctx, s.db, s.dialect.insertIgnore+` INTO alerts (fingerprint, name, severity, shop_id, run_id, about, summary, why, remedy,
			state, ended, seq, times, since_us, raised_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'firing', '', 1, 1, :now, :now)`,
			a.Fingerprint(), a.Name, a.Severity, a.Shop, a.Run, clipWho(a.About), clip(a.Summary), clip(a.Why), clip(a.Remedy))
		if err != nil || n > 0 {
			return err
		}
	}
	return nil
}

const recordColumns = `a.fingerprint, a.name, a.severity, COALESCE(NULLIF(a.shop_id, ''), r.shop_id, ''), a.run_id, a.about, a.summary, a.why, a.remedy,
	a.state, a.ended, a.seq, a.times, a.since_us, a.raised_us, a.resolved_us,
	COALESCE(r.broadcast_id, ''), COALESCE(r.state, ''), COALESCE(r.deadline_us, 0), COALESCE(r.ready_us, 0), COALESCE(r.ends_us, 0),
	COALESCE(s.seq, 0), COALESCE(s.sent_us, 0)`

// records are the alerts of a condition (a) with their runs (r) and what a sink was told of them (s).
func (s *Store) records(ctx context.Context, sink, where string, args ...any) ([]alert.Record, error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT `+recordColumns+` FROM alerts a LEFT JOIN runs r ON r.run_id = a.run_id AND a.run_id <> ''
		LEFT JOIN alert_sends s ON s.fingerprint = a.fingerprint AND s.sink = ? `+where), append([]any{sink}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := []alert.Record{}
	for rows.Next() {
		r, err := scanRecord(rows)
		if err != nil {
			return nil, fmt.Errorf("list alerts: %w", err)
		}
		all = append(all, r)
	}
	return all, rows.Err()
}

func scanRecord(rows *sql.Rows) (alert.Record, error) {
	var r alert.Record
	var since, raised, resolved, deadline, ready, ends, sent int64
	err := rows.Scan(&r.Fingerprint, &r.Name, &r.Severity, &r.Shop, &r.Run, &r.About, &r.Summary, &r.Why, &r.Remedy,
		&r.State, &r.Ended, &r.Seq, &r.Times, &since, &raised, &resolved,
		&r.Broadcast, &r.RunState, &deadline, &ready, &ends, &r.SentSeq, &sent)
	r.Since, r.At, r.ReadyAt, r.EndsAt, r.SentAt = fromMicros(since), fromMicros(raised), fromMicros(ready), fromMicros(ends), fromMicros(sent)
	if resolved > 0 {
		at := fromMicros(resolved)
		r.ResolvedAt = &at
	}
	if deadline > 0 {
		at := fromMicros(deadline)
		r.Deadline = &at
	}
	return r, err
}

// FiringAlerts are those that are not resolved, with the ledger's time.
func (s *Store) FiringAlerts(ctx context.Context) ([]alert.Record, time.Time, error) {
	all, err := s.records(ctx, "", `WHERE a.state = 'firing'`)
	if err != nil || len(all) == 0 {
		return nil, time.Time{}, err
	}
	now, err := s.Now(ctx) // after the rows: nothing in them is younger
	return all, now, err
}

// Alerts are the newest: those that fire, the newest first, and then those that were resolved last.
func (s *Store) Alerts(ctx context.Context, limit int) ([]alert.Record, error) {
	return s.records(ctx, "", `ORDER BY a.state, CASE WHEN a.state = 'firing' THEN a.since_us ELSE a.resolved_us END DESC, a.fingerprint LIMIT ?`, limit)
}

// ResolveAlert ends an alert, unless it has been raised since it was read.
func (s *Store) ResolveAlert(ctx context.Context, r alert.Record, why string) error {
	_, err := s.exec(ctx, s.db, `UPDATE alerts SET state = 'resolved', ended = ?, resolved_us = :now, seq = seq + 1
		WHERE fingerprint = ? AND state = 'firing' AND seq = ? AND times = ? AND raised_us = ?`, clip(why), r.Fingerprint, r.Seq, r.Times, micros(r.At))
	if err != nil { // no row: it was raised meanwhile, or another pod was faster
		return fmt.Errorf("resolve alert %s: %w", r.Name, err)
	}
	return nil
}

// told is how long a resolution waits for a sink that does not answer.
const told = 24 * time.Hour

// Mail is what a sink may have to be told.
func (s *Store) Mail(ctx context.Context, sink string) (alert.Mail, error) {
	var m alert.Mail
	var since, next, now int64
	err := s.db.QueryRowContext(ctx, s.text(`SELECT COALESCE(MAX(since_us), 0), COALESCE(MAX(next_us), 0), COALESCE(MAX(failures), 0), COALESCE(MAX(error), ''), :now
		FROM alert_sinks WHERE sink = ?`), sink).Scan(&since, &next, &m.Sink.Failures, &m.Sink.Error, &now)
	if err != nil {
		return m, fmt.Errorf("read alert sink %s: %w", sink, err)
	}
	m.Sink.Name, m.Sink.Since, m.Sink.Next, m.Now = sink, fromMicros(since), fromMicros(next), fromMicros(now)
	m.Records, err = s.records(ctx, sink, `WHERE a.state = 'firing' OR (a.state = 'resolved' AND a.resolved_us > :now - ? AND a.seq > COALESCE(s.seq, 0))`, told.Microseconds())
	return m, err
}

// MeetSink makes a sink known, from now on.
func (s *Store) MeetSink(ctx context.Context, sink string) error {
	if _, err := s.exec(ctx, s.db, s.dialect.insertIgnore+` INTO alert_sinks (sink, error, since_us) VALUES (?, '', :now)`, sink); err != nil {
		return fmt.Errorf("make alert sink %s known: %w", sink, err)
	}
	return nil
}

// ClaimSink makes the holder the only one who may send to a sink that is known, for so long.
func (s *Store) ClaimSink(ctx context.Context, sink, holder string, long time.Duration) (bool, error) {
	n, err := s.exec(ctx, s.db, `UPDATE alert_sinks SET holder = ?, until_us = :now + ? WHERE sink = ? AND until_us <= :now AND next_us <= :now`,
		holder, long.Microseconds(), sink)
	if err != nil {
		return false, fmt.Errorf("claim alert sink %s: %w", sink, err)
	}
	return n > 0, nil
}

// AlertsSent records what a sink was told, and lets it rest. What was told is recorded also by a holder whose claim has
// lapsed: it was told.
func (s *Store) AlertsSent(ctx context.Context, sink, holder string, all []alert.Record, rest time.Duration) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		for _, r := range all {
			n, err := s.exec(ctx, tx, `UPDATE alert_sends SET seq = ?, sent_us = :now WHERE fingerprint = ? AND sink = ? AND seq <= ?`, r.Seq, r.Fingerprint, sink, r.Seq)
			if err == nil && n == 0 {
				_, err = s.exec(ctx, tx, s.dialect.insertIgnore+` INTO alert_sends (fingerprint, sink, seq, sent_us) VALUES (?, ?, ?, :now)`, r.Fingerprint, sink, r.Seq)
			}
			if err != nil {
				return fmt.Errorf("record what was sent to %s: %w", sink, err)
			}
		}
		query, args := `UPDATE alert_sinks SET until_us = 0 WHERE sink = ? AND holder = ?`, []any{sink, holder}
		if len(all) > 0 {
			query = `UPDATE alert_sinks SET until_us = 0, next_us = :now + ?, failures = 0, error = '' WHERE sink = ? AND holder = ?`
			args = append([]any{rest.Microseconds()}, args...)
		}
		if _, err := s.exec(ctx, tx, query, args...); err != nil {
			return fmt.Errorf("record what was sent to %s: %w", sink, err)
		}
		return nil
	})
}

// SinkFailed records that a sink could not be told, and lets it rest.
func (s *Store) SinkFailed(ctx context.Context, sink, holder, why string, rest time.Duration) error {
	if _, err := s.exec(ctx, s.db, `UPDATE alert_sinks SET until_us = 0, next_us = :now + ?, failures = failures + 1, error = ? WHERE sink = ? AND holder = ?`,
		rest.Microseconds(), clip(why), sink, holder); err != nil {
		return fmt.Errorf("record that %s was not reached: %w", sink, err)
	}
	return nil
}

// ForgetAlerts removes what has been over for so long.
func (s *Store) ForgetAlerts(ctx context.Context, after time.Duration) error {
	_, err := s.exec(ctx, s.db, `DELETE FROM alerts WHERE state = 'resolved' AND resolved_us < :now - ?`, after.Microseconds())
	if err == nil {
		_, err = s.exec(ctx, s.db, `DELETE FROM alert_sends WHERE sent_us < :now - ?
			AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.fingerprint = alert_sends.fingerprint)`, after.Microseconds())
	}
	if err != nil {
		return fmt.Errorf("forget alerts: %w", err)
	}
	return nil
}

// untold is a condition on a run (r) whose broadcast is not over, to be ended with the name of an alert: none stands for it.
const untold = ` AND r.ends_us > :now AND NOT EXISTS (SELECT 1 FROM alerts a WHERE a.run_id = r.run_id AND a.state = 'firing' AND a.name = `

// LateUntold are open runs that are past their deadline, and nobody was told. A run that was made after its deadline could
// not have met it, and is not late.
func (s *Store) LateUntold(ctx context.Context, limit int) ([]Run, error) {
	return s.runs(ctx, `r.state IN ('planned', 'warming') AND r.deadline_us < :now AND r.deadline_us > r.created_us`+untold+`'`+alert.RunLate+`')`, limit)
}

// FailedUntold are runs that have failed a while ago, and nobody was told.
func (s *Store) FailedUntold(ctx context.Context, limit int) ([]Run, error) {
	return s.runs(ctx, `r.state = 'failed' AND r.updated_us < :now - 30000000`+untold+`'`+alert.RunFailed+`')`, limit)
}
