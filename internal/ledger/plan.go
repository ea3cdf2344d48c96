package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/prewarm-go/prewarm/internal/config"
)

// insertRows bounds one INSERT of units: 100 rows of 10 values stay far below every engine's limit of placeholders.
const insertRows = 100

// WritePlan writes the units of a run's epoch, all or none, once: ErrState says that the plan is there already or that
// the run has moved on. units need Dataset, From, To and RowsEstimated; they are numbered in their order. One without
// a Cache is loaded into config.MainCache. kept is what the units were cut with.
func (s *Store) WritePlan(ctx context.Context, run string, epoch int, kept Kept, units []Unit) error {
	if len(units) == 0 {
		return fmt.Errorf("write plan: a plan has at least one unit")
	}
	var rows int64
	for i := range units {
		units[i].RunID, units[i].Epoch, units[i].Unit, units[i].State = run, epoch, i, UnitWaiting
		rows += units[i].RowsEstimated
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		n, err := s.exec(ctx, tx, `UPDATE runs SET planned_us = :now, updated_us = :now, rows_estimated = ?, datasets = ?, max_rows = ?, windows = ?
			WHERE run_id = ? AND epoch = ? AND state = 'planned' AND planned_us = 0`, rows, kept.Datasets, kept.MaxRows, kept.Windows, run, epoch)
		if err := matched(n, err, "write plan"); err != nil {
			return err
		}
		if err := s.outlive(ctx, tx, run, kept.AfterEnd); err != nil {
			return err
		}
		if err := s.writeParts(ctx, tx, run, PartsOf(units)); err != nil {
			return err
		}
		text := fmt.Sprintf("%d units, about %d rows", len(units), rows)
		if is := kept.String(); is != "" {
			text += "; " + is
		}
		if err := s.note(ctx, tx, runEvent(run, epoch, StagePlanned, By{Who: "planner", Why: text})); err != nil {
			return err
		}
		for rest := units; len(rest) > 0; {
			part := rest[:min(insertRows, len(rest))]
			rest = rest[len(part):]
			if err := s.insertUnits(ctx, tx, part); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) insertUnits(ctx context.Context, tx *sql.Tx, units []Unit) error {
	var b strings.Builder
	b.WriteString(`INSERT INTO units (run_id, epoch, unit, dataset, cache_name, state, key_from, key_to, key_cursor, rows_estimated, last_error, updated_us) VALUES `)
	args := make([]any, 0, 9*len(units))
	for i, u := range units {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(`(?, ?, ?, ?, ?, ?, ?, ?, '', ?, '', :now)`)
		args = append(args, u.RunID, u.Epoch, u.Unit, u.Dataset, cmp.Or(u.Cache, config.MainCache), u.State, u.From, u.To, u.RowsEstimated)
	}
	n, err := s.exec(ctx, tx, b.String(), args...)
	if err != nil {
		return fmt.Errorf("write units: %w", err)
	}
	if n != int64(len(units)) {
		return fmt.Errorf("write units: %d of %d were written", n, len(units))
	}
	return nil
}

// Unplanned are runs that have waited longer than a moment for their plan, are not paused, and whose broadcast is not over.
func (s *Store) Unplanned(ctx context.Context, limit int) ([]Run, error) {
	return s.runs(ctx, `r.state = 'planned' AND r.planned_us = 0 AND r.updated_us < :now - 5000000 AND r.ends_us > :now AND `+notPaused, limit)
}
