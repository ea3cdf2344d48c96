package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// AuditState is where an audit stands: waiting → running → passed, failed (something is wrong, and was not repaired) or broken
// (it could not be carried out). One whose pod died is carried on by another.
type AuditState string

// States of audits.
const (
	AuditWaiting AuditState = "waiting"
	AuditRunning AuditState = "running"
	AuditPassed  AuditState = "passed"
	AuditFailed  AuditState = "failed"
	AuditBroken  AuditState = "broken"
)

// Kinds of audits.
const (
	AuditByHand    = "hand"
	AuditScheduled = "scheduled"
	AuditReady     = "ready" // a run is not announced before it has passed
)

// FindingsKept is how many findings of an audit are kept, the first ones.
const FindingsKept = 100

// Audit is a comparison of the cache with its source.
type Audit struct {
	ID      string
	Kind    string
	RunID   string // of AuditReady
	Epoch   int
	ShopID  string // "": all shops that are warm
	Dataset string // "": all
	Repair  bool
	Sample  float64 // percent of the units
	State   AuditState
	Who     string
	Why     string
	Owner   string // pod
	Claim   int64  // the fence: grows with each claim

	ShopsTotal int
	ShopsDone  int
	AfterShop  string // the shops up to this one are done
	AuditCounts
	Caches     map[string]AuditCounts // the same by cache; read by Audit, not by Audits
	RowsRead   int64
	SourceTime time.Duration // reading the source
	CacheTime  time.Duration // looking keys up
	LastError  string
	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
}

// AuditCounts count keys.
type AuditCounts struct{ Keys, Missing, Different, Extra, WrongExpiry, Repaired, Changing int64 }

// Wrong is how many keys were wrong, repaired ones included.
func (c AuditCounts) Wrong() int64 { return c.Missing + c.Different + c.Extra + c.WrongExpiry }

// AuditFinding is one key that was wrong.
type AuditFinding struct {
	Kind, ShopID, Dataset, Key, Detail string
	Repaired                           bool
}

const auditColumns = `audit_id, kind, run_id, epoch, shop_id, dataset, repair, sample, state, who, why, owner, claim, shops_total, shops_done,
	after_shop, keys_seen, missing, different, extra, wrong_expiry, repaired, changing, rows_read, source_us, cache_us, last_error,
	created_us, started_us, finished_us`

func scanAudit(row scanner) (Audit, error) {
	var a Audit
	var source, cache, created, started, finished int64
	err := row.Scan(&a.ID, &a.Kind, &a.RunID, &a.Epoch, &a.ShopID, &a.Dataset, &a.Repair, &a.Sample, &a.State, &a.Who, &a.Why, &a.Owner, &a.Claim,
		&a.ShopsTotal, &a.ShopsDone, &a.AfterShop, &a.Keys, &a.Missing, &a.Different, &a.Extra, &a.WrongExpiry, &a.Repaired, &a.Changing,
		&a.RowsRead, &source, &cache, &a.LastError, &created, &started, &finished)
	if errors.Is(err, sql.ErrNoRows) {
		return Audit{}, ErrNotFound
	}
	if err != nil {
		return Audit{}, fmt.Errorf("read audit: %w", err)
	}
	a.SourceTime, a.CacheTime = time.Duration(source)*time.Microsecond, time.Duration(cache)*time.Microsecond
	a.CreatedAt, a.StartedAt, a.FinishedAt = fromMicros(created), fromMicros(started), fromMicros(finished)
	return a, nil
}

// auditAgain is how long the next audit of a run waits after one that did not pass.
const auditAgain = time.Minute

// RequestAudit writes an audit that waits. An audit of a run (AuditReady) is asked for once at a time, and not right after one
// that did not pass: asked then says false.
func (s *Store) RequestAudit(ctx context.Context, a Audit) (asked bool, err error) {
	n, err := s.exec(ctx, s.db, `INSERT INTO audits (audit_id, kind, run_id, epoch, shop_id, dataset, repair, sample, state, who, why, last_error, created_us)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?, '', :now FROM (SELECT 1 AS one) q WHERE ? <> 'ready' OR NOT EXISTS (SELECT 1 FROM audits x
			WHERE x.run_id = ? AND x.epoch = ? AND (x.state IN ('waiting', 'running') OR (x.state <> 'passed' AND x.finished_us > :now - ?)))`,
		a.ID, a.Kind, a.RunID, a.Epoch, a.ShopID, a.Dataset, a.Repair, a.Sample, clipWho(a.Who), clip(a.Why), a.Kind,
		a.RunID, a.Epoch, auditAgain.Microseconds())
	if err != nil {
		return false, fmt.Errorf("ask for audit: %w", err)
	}
	return n > 0, nil
}

// NextAudit claims the audit that has waited longest since it was last in hand, of runs that wait to be announced or of the others; one whose pod has
// said nothing for dead counts too. Nil: there is none.
func (s *Store) NextAudit(ctx context.Context, ready bool, owner string, dead time.Duration) (*Audit, error) {
	const open = `(state = 'waiting' OR (state = 'running' AND beat_us < :now - ?)) AND (kind = 'ready') = ?`
	var id string
	err := s.db.QueryRowContext(ctx, s.text(`SELECT audit_id FROM audits WHERE `+open+` ORDER BY beat_us, created_us LIMIT 1`), dead.Microseconds(), ready).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil //nolint:nilnil // none waits
	}
	if err != nil {
		return nil, fmt.Errorf("look for audits: %w", err)
	}
	n, err := s.exec(ctx, s.db, `UPDATE audits SET state = 'running', owner = ?, claim = claim + 1, beat_us = :now,
		started_us = CASE WHEN started_us = 0 THEN :now ELSE started_us END WHERE audit_id = ? AND `+open, owner, id, dead.Microseconds(), ready)
	if err != nil {
		return nil, fmt.Errorf("claim audit: %w", err)
	}
	if n == 0 {
		return nil, nil //nolint:nilnil // another was faster
	}
	a, _, err := s.Audit(ctx, id)
	return &a, err
}

const auditFence = ` WHERE audit_id = ? AND claim = ? AND state = 'running'`

// BeatAudit says that a claimed audit is being carried out, and how many rows it has read. ErrFenced: stop.
func (s *Store) BeatAudit(ctx context.Context, a Audit, rows int64) error {
	n, err := s.exec(ctx, s.db, `UPDATE audits SET beat_us = :now, rows_read = ?`+auditFence, rows, a.ID, a.Claim)
	return fenced(n, err, "record progress of audit")
}

// SaveAudit writes what a claimed audit has found so far, with the findings since it was last saved: shops, counts and costs
// as they stand. With a state that is not AuditRunning the audit is over, or waits to be carried on. ErrFenced: stop.
func (s *Store) SaveAudit(ctx context.Context, a Audit, found []AuditFinding) error {
	return s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE audits SET state = ?, shops_total = ?, shops_done = ?, after_shop = ?, keys_seen = ?, missing = ?, different = ?, extra = ?,
			wrong_expiry = ?, repaired = ?, changing = ?, rows_read = ?, source_us = ?, cache_us = ?, last_error = ?, beat_us = :now,
			finished_us = CASE WHEN ? THEN :now ELSE 0 END`+auditFence,
			a.State, a.ShopsTotal, a.ShopsDone, a.AfterShop, a.Keys, a.Missing, a.Different, a.Extra, a.WrongExpiry, a.Repaired, a.Changing, a.RowsRead,
			a.SourceTime.Microseconds(), a.CacheTime.Microseconds(), clip(a.LastError), a.State != AuditRunning && a.State != AuditWaiting, a.ID, a.Claim)
		if err := fenced(n, err, "save audit"); err != nil {
			return err
		}
		if err := s.saveByCache(ctx, tx, a); err != nil {
			return err
		}
		var kept int
		if err := tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM audit_findings WHERE audit_id = ?`, a.ID).Scan(&kept); err != nil {
			return fmt.Errorf("save findings: %w", err)
		}
		for i, f := range found[:max(0, min(len(found), FindingsKept-kept))] {
			if _, err := s.exec(ctx, tx, `INSERT INTO audit_findings (audit_id, n, kind, shop_id, dataset, cache_key, detail, repaired) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
				a.ID, kept+i+1, f.Kind, f.ShopID, f.Dataset, clipKey(f.Key), clip(f.Detail), f.Repaired); err != nil {
				return fmt.Errorf("save findings: %w", err)
			}
		}
		return nil
	})
}

// saveByCache replaces what an audit has found in each cache.
func (s *Store) saveByCache(ctx context.Context, tx *sql.Tx, a Audit) error {
	if _, err := s.exec(ctx, tx, `DELETE FROM audit_caches WHERE audit_id = ?`, a.ID); err != nil {
		return fmt.Errorf("save audit by cache: %w", err)
	}
	for name, c := range a.Caches {
		if _, err := s.exec(ctx, tx, `INSERT INTO audit_caches (audit_id, cache_name, keys_seen, missing, different, extra, wrong_expiry, repaired, changing)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, a.ID, name, c.Keys, c.Missing, c.Different, c.Extra, c.WrongExpiry, c.Repaired, c.Changing); err != nil {
			return fmt.Errorf("save audit by cache: %w", err)
		}
	}
	return nil
}

// byCache is what an audit has found in each cache.
func (s *Store) byCache(ctx context.Context, id string) (map[string]AuditCounts, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT cache_name, keys_seen, missing, different, extra, wrong_expiry, repaired, changing FROM audit_caches WHERE audit_id = ?`, id)
	if err != nil {
		return nil, fmt.Errorf("read audit by cache: %w", err)
	}
	defer func() { _ = rows.Close() }()
	all := map[string]AuditCounts{}
	for rows.Next() {
		var name string
		var c AuditCounts
		if err := rows.Scan(&name, &c.Keys, &c.Missing, &c.Different, &c.Extra, &c.WrongExpiry, &c.Repaired, &c.Changing); err != nil {
			return nil, fmt.Errorf("read audit by cache: %w", err)
		}
		all[name] = c
	}
	return all, rows.Err()
}

func fenced(n int64, err error, what string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if n == 0 {
		return ErrFenced
	}
	return nil
}

// Audit is one audit with the findings that were kept, or ErrNotFound.
func (s *Store) Audit(ctx context.Context, id string) (Audit, []AuditFinding, error) {
	a, err := scanAudit(s.db.QueryRowContext(ctx, `SELECT `+auditColumns+` FROM audits WHERE audit_id = ?`, id))
	if err != nil {
		return Audit{}, nil, err
	}
	if a.Caches, err = s.byCache(ctx, id); err != nil {
		return Audit{}, nil, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT kind, shop_id, dataset, cache_key, detail, repaired FROM audit_findings WHERE audit_id = ? ORDER BY n`, id)
	if err != nil {
		return Audit{}, nil, fmt.Errorf("list findings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var found []AuditFinding
	for rows.Next() {
		var f AuditFinding
		if err := rows.Scan(&f.Kind, &f.ShopID, &f.Dataset, &f.Key, &f.Detail, &f.Repaired); err != nil {
			return Audit{}, nil, fmt.Errorf("list findings: %w", err)
		}
		found = append(found, f)
	}
	return a, found, rows.Err()
}

// Audits are those asked for in [from, to), newest first; a zero time is no bound.
func (s *Store) Audits(ctx context.Context, from, to time.Time, limit int) ([]Audit, error) {
	until := int64(1<<63 - 1)
	if !to.IsZero() {
		until = micros(to)
	}
	rows, err := s.db.QueryContext(ctx, `SELECT `+auditColumns+` FROM audits WHERE created_us >= ? AND created_us < ? ORDER BY created_us DESC LIMIT ?`, micros(from), until, limit)
	if err != nil {
		return nil, fmt.Errorf("list audits: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Audit
	for rows.Next() {
		a, err := scanAudit(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

// LastScheduledAudit is when one was last asked for by the schedule; zero: never.
func (s *Store) LastScheduledAudit(ctx context.Context) (time.Time, error) {
	var us int64
	if err := s.db.QueryRowContext(ctx, `SELECT COALESCE(MAX(created_us), 0) FROM audits WHERE kind = 'scheduled'`).Scan(&us); err != nil {
		return time.Time{}, fmt.Errorf("look for the last audit: %w", err)
	}
	return fromMicros(us), nil
}

// Warm is a shop that is warm, as of the ready run whose broadcast ends last.
type Warm struct {
	Run
	// Moving: units of the shop are open, as when expiries are being moved to a new end.
	Moving bool
}

// Warm are the shops after the given one that have a ready run whose broadcast is not over, in the order of their ids; shop is
// one, or "" for all.
func (s *Store) Warm(ctx context.Context, shop, after string) ([]Warm, error) {
	rows, err := s.db.QueryContext(ctx, s.text(`SELECT r.run_id, r.shop_id, r.epoch, r.ends_us, r.after_us, r.ready_us, EXISTS (SELECT 1 FROM runs o WHERE o.shop_id = r.shop_id AND o.ends_us > :now
			AND ((o.state = 'planned' AND o.planned_start_us <= :now) OR o.state IN ('warming', 'failed') OR (o.state = 'ready' AND EXISTS (SELECT 1 FROM units u
			WHERE u.run_id = o.run_id AND u.epoch = o.epoch AND (u.state IN ('waiting', 'running') OR u.touch = 1)))))
		FROM runs r WHERE r.state = 'ready' AND r.ends_us > :now AND (r.shop_id = ? OR ? = '') AND r.shop_id > ? ORDER BY r.shop_id, r.ends_us DESC`), shop, shop, after)
	if err != nil {
		return nil, fmt.Errorf("list warm shops: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Warm
	for rows.Next() {
		var w Warm
		var ends, after, ready int64
		if err := rows.Scan(&w.ID, &w.ShopID, &w.Epoch, &ends, &after, &ready, &w.Moving); err != nil {
			return nil, fmt.Errorf("list warm shops: %w", err)
		}
		w.EndsAt, w.ReadyAt, w.State, w.AfterEnd = fromMicros(ends), fromMicros(ready), RunReady, time.Duration(after)*time.Microsecond
		if n := len(all); n == 0 || all[n-1].ShopID != w.ShopID {
			all = append(all, w)
		}
	}
	return all, rows.Err()
}

// Audited records that a ready run has passed its audit, which makes it ready now: its lateness is judged anew. readyAt is when it
// became ready as the audit saw it. ErrState: it has moved on, and nothing was done.
func (s *Store) Audited(ctx context.Context, run string, epoch int, readyAt time.Time) error {
	n, err := s.exec(ctx, s.db, `UPDATE runs SET audited_us = :now, ready_us = :now, late = CASE WHEN :now > deadline_us THEN 1 ELSE 0 END, updated_us = :now
		WHERE run_id = ? AND epoch = ? AND state = 'ready' AND ready_us = ?`, run, epoch, micros(readyAt))
	return matched(n, err, "record audit")
}
