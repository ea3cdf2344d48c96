package check

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kinds of entries of the log.
const (
	kindUnit = "unit"
	kindRun  = "run"
)

// Install makes the log in the schema `log` and the triggers that write it. ledger must be at the ledger's schema, with
// its tables made.
func Install(ctx context.Context, ledger *sql.DB, log string) error {
	const now = `CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)`
	into := `INSERT INTO ` + log + `.moves (kind, at_us, who, run_id, epoch, unit, dataset, o_epoch, o_state, o_claim, o_owner, o_cursor, o_rows, o_pages,
		state, claim, owner, key_cursor, rows_done, pages, touch) VALUES `
	unit := func(o string) string {
		old := `OLD.epoch, OLD.state, OLD.claim, OLD.owner, OLD.key_cursor, OLD.rows_done, OLD.pages`
		if o == "INSERT" {
			old = `NEW.epoch, '', 0, '', '', 0, 0`
		}
		return `CREATE TRIGGER ` + log + `_units_` + strings.ToLower(o) + ` AFTER ` + o + ` ON units FOR EACH ROW ` + into + `('unit', ` + now +
			`, USER(), NEW.run_id, NEW.epoch, NEW.unit, NEW.dataset, ` + old +
			`, NEW.state, NEW.claim, NEW.owner, NEW.key_cursor, NEW.rows_done, NEW.pages, NEW.touch)`
	}
	run := func(o string) string {
		old := `OLD.epoch, OLD.state`
		if o == "INSERT" {
			old = `NEW.epoch, ''`
		}
		return `CREATE TRIGGER ` + log + `_runs_` + strings.ToLower(o) + ` AFTER ` + o + ` ON runs FOR EACH ROW ` + into + `('run', ` + now +
			`, USER(), NEW.run_id, NEW.epoch, -1, '', ` + old + `, 0, '', '', 0, 0, NEW.state, 0, '', '', 0, 0, 0)`
	}
	for _, statement := range []string{
		`CREATE DATABASE IF NOT EXISTS ` + log + ` CHARACTER SET utf8mb4`,
		`CREATE TABLE IF NOT EXISTS ` + log + `.moves (id BIGINT AUTO_INCREMENT PRIMARY KEY, kind VARCHAR(4) NOT NULL, at_us BIGINT NOT NULL, who VARCHAR(190) NOT NULL,
			run_id CHAR(32) NOT NULL, epoch INT NOT NULL, unit INT NOT NULL, dataset VARCHAR(64) NOT NULL, o_epoch INT NOT NULL, o_state VARCHAR(16) NOT NULL,
			o_claim BIGINT NOT NULL, o_owner VARCHAR(128) NOT NULL, o_cursor TEXT NOT NULL, o_rows BIGINT NOT NULL, o_pages BIGINT NOT NULL, state VARCHAR(16) NOT NULL,
			claim BIGINT NOT NULL, owner VARCHAR(128) NOT NULL, key_cursor TEXT NOT NULL, rows_done BIGINT NOT NULL, pages BIGINT NOT NULL, touch INT NOT NULL, KEY (run_id, epoch, unit)) ENGINE=InnoDB`,
		unit("INSERT"), unit("UPDATE"), run("INSERT"), run("UPDATE"),
	} {
		if _, err := ledger.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("install the log: %w: %s", err, statement)
		}
	}
	return nil
}

// move is an entry of the log: a row before and after a change.
type move struct {
	id           int64
	kind         string
	at           time.Time
	who          string // the database user
	run          string
	epoch, unit  int
	dataset      string
	fromEpoch    int
	touch        bool
	before, then unitState
}

// unitState is what of a unit's row matters. A run has only a state.
type unitState struct {
	state  string
	claim  int64
	owner  string
	cursor string
	rows   int64
	pages  int64
}

// gained is how many rows the move recorded as written.
func (m move) gained() int64 { return max(0, m.then.rows-m.before.rows) }

// advanced: the move records work. Pages without rows, an empty last page, count too.
func (m move) advanced() bool {
	return m.then.cursor != m.before.cursor || m.then.rows != m.before.rows || m.then.pages != m.before.pages
}

// reset: the unit begins from its start, which needs a new fence.
func (m move) reset() bool {
	return m.then.cursor == "" && m.then.rows == 0 && m.then.claim > m.before.claim
}

type unitID struct {
	run         string
	epoch, unit int
}

func (m move) id3() unitID { return unitID{m.run, m.epoch, m.unit} }

func readLog(ctx context.Context, db *sql.DB, log string) ([]move, error) {
	rows, err := db.QueryContext(ctx, `SELECT id, kind, at_us, who, run_id, epoch, unit, dataset, o_epoch, o_state, o_claim, o_owner, o_cursor, o_rows, o_pages,
		state, claim, owner, key_cursor, rows_done, pages, touch FROM `+log+`.moves ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var moves []move
	for rows.Next() {
		var m move
		var us int64
		if err := rows.Scan(&m.id, &m.kind, &us, &m.who, &m.run, &m.epoch, &m.unit, &m.dataset, &m.fromEpoch, &m.before.state, &m.before.claim, &m.before.owner,
			&m.before.cursor, &m.before.rows, &m.before.pages, &m.then.state, &m.then.claim, &m.then.owner, &m.then.cursor, &m.then.rows, &m.then.pages,
			&m.touch); err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		m.at = time.UnixMicro(us)
		moves = append(moves, m)
	}
	return moves, rows.Err()
}

// checkLog looks at every change that was ever made.
func checkLog(res *Result, moves []move) {
	l := logCheck{res: res, userOf: map[string]string{}, claimer: map[unitID]string{}, last: map[unitID]move{}, taken: map[unitID]time.Time{}, state: map[unitID]string{}}
	for _, m := range moves {
		if m.kind == kindRun {
			l.run(m)
		} else {
			l.unit(m)
		}
	}
}

type logCheck struct {
	res     *Result
	userOf  map[string]string    // of an owner: the database user who claims under its name
	claimer map[unitID]string    // the user of the newest claim
	last    map[unitID]move      // the newest move that was work, or the claim
	taken   map[unitID]time.Time // since when nobody works on a unit that was taken from its owner
	state   map[unitID]string    // of units, as they stand at this point of the log
}

func (l *logCheck) run(m move) {
	if m.epoch < m.fromEpoch {
		l.res.add(Backwards, "run %s went from epoch %d to %d (log %d)", m.run, m.fromEpoch, m.epoch, m.id)
	}
	if m.then.state != "ready" || m.before.state == "ready" {
		return
	}
	units := 0
	for id, state := range l.state {
		if id.run != m.run || id.epoch != m.epoch {
			continue
		}
		units++
		if state != "done" {
			l.res.add(NotReady, "run %s became ready in epoch %d while unit %d was %s (log %d)", m.run, m.epoch, id.unit, state, m.id)
		}
	}
	if units == 0 {
		l.res.add(NotReady, "run %s became ready in epoch %d without units (log %d)", m.run, m.epoch, m.id)
	}
}

func (l *logCheck) unit(m move) {
	id := m.id3()
	l.state[id] = m.then.state
	if m.then.claim < m.before.claim {
		l.res.add(Claims, "%s: claim %d became %d by %s (log %d)", id, m.before.claim, m.then.claim, m.who, m.id)
	}
	if m.then.state == "running" && (m.before.state != "running" || m.then.claim != m.before.claim || m.then.owner != m.before.owner) {
		l.claim(m)
		return
	}
	if was, ok := l.last[id]; ok && m.before.state == "running" && m.then.state == "waiting" && m.who != l.claimer[id] && !m.touch {
		l.taken[id] = was.at // by somebody else, and not because the broadcast's end was moved
	}
	if !m.advanced() {
		return
	}
	if m.reset() {
		delete(l.last, id)
		return
	}
	if m.before.state != "running" || m.then.claim != m.before.claim {
		l.res.add(Owners, "%s: %s moved it on while it was %s, claim %d (log %d)", id, m.who, m.before.state, m.before.claim, m.id)
	} else if who := l.claimer[id]; who != m.who {
		l.res.add(Owners, "%s: %s moved it on under claim %d of %s (log %d)", id, m.who, m.then.claim, who, m.id)
	}
	if compareCursors(m.then.cursor, m.before.cursor) < 0 || m.then.rows < m.before.rows || m.then.pages < m.before.pages {
		l.res.add(Back, "%s: from %q, %d rows to %q, %d rows by %s (log %d)", id, m.before.cursor, m.before.rows, m.then.cursor, m.then.rows, m.who, m.id)
	}
	l.last[id] = m
}

// claim is a unit's way into `running`.
func (l *logCheck) claim(m move) {
	id := m.id3()
	if m.before.state == "running" {
		l.res.add(Owners, "%s: %s claimed it as %s while %s held it under claim %d (log %d)", id, m.who, m.then.owner, m.before.owner, m.before.claim, m.id)
	}
	if m.then.claim <= m.before.claim {
		l.res.add(Claims, "%s: claimed by %s under the old claim %d (log %d)", id, m.who, m.then.claim, m.id)
	}
	if user, known := l.userOf[m.then.owner]; known && user != m.who {
		l.res.add(Owners, "%s: %s claimed it in the name of %s, which is %s (log %d)", id, m.who, m.then.owner, user, m.id)
	}
	l.userOf[m.then.owner] = m.who
	if since, ok := l.taken[id]; ok {
		l.res.Takeover = append(l.res.Takeover, m.at.Sub(since))
		delete(l.taken, id)
	}
	if m.advanced() && m.then.cursor != "" {
		l.res.add(Back, "%s: its claim moved the cursor from %q to %q (log %d)", id, m.before.cursor, m.then.cursor, m.id)
	}
	l.claimer[id] = m.who
	l.last[id] = m
}

func (u unitID) String() string {
	return fmt.Sprintf("run %s, epoch %d, unit %d", u.run, u.epoch, u.unit)
}

// firstClaims are when each unit of an epoch was first begun.
func firstClaims(moves []move) map[unitID]time.Time {
	first := map[unitID]time.Time{}
	for _, m := range moves {
		if _, ok := first[m.id3()]; !ok && m.kind == kindUnit && m.then.state == "running" {
			first[m.id3()] = m.at
		}
	}
	return first
}

// NextMove is when the log first shows a unit moving after a time; ok is false if none has.
func NextMove(ctx context.Context, db *sql.DB, log string, from time.Time) (next time.Time, ok bool, err error) {
	var us sql.NullInt64
	err = db.QueryRowContext(ctx, `SELECT MIN(at_us) FROM `+log+`.moves WHERE kind = 'unit' AND at_us > ? AND (o_state <> state OR o_rows <> rows_done OR o_pages <> pages)`,
		from.UnixMicro()).Scan(&us)
	if err != nil || !us.Valid {
		return time.Time{}, false, err
	}
	return time.UnixMicro(us.Int64), true, nil
}

// sorted are a map's keys in order.
func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
