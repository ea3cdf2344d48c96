package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// What becomes of the keys of a shop that is switched off.
const (
	KeysRemove = "remove"
	KeysExpire = "expire" // they stay as they are until their time has come
)

// Settings are how a shop is kept in the cache. The zero value is as all shops are that nothing was said of.
type Settings struct {
	Off  bool
	Keys string // KeysRemove or KeysExpire, of a shop that is off
	Kept
}

// String is for people.
func (s Settings) String() string {
	text := "on"
	switch {
	case s.Off && s.Keys == KeysRemove:
		text = "off, keys are removed"
	case s.Off:
		text = "off, keys are left to expire"
	}
	if kept := s.Kept.String(); kept != "" {
		text += "; " + kept
	}
	return text
}

// Shop is what was said of a shop, by whom, and why.
type Shop struct {
	ID string
	Settings
	Version int64 // grows with each change; 0: nothing was ever said
	By
	ChangedAt time.Time
	Removal   *Removal // of its keys; nil: none was asked for
}

// OffError: the shop is switched off. It is an ErrState, too.
type OffError struct{ Shop }

func (e *OffError) Error() string {
	text := "shop " + e.ID + " is switched off"
	if e.Who != "" {
		text += " by " + e.Who + " since " + e.ChangedAt.UTC().Format(time.RFC3339)
	}
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

// Is makes it an ErrState: nothing can be done with the shop's runs.
func (e *OffError) Is(target error) bool { return target == ErrState }

// ErrRemoving: keys of the shop are being removed at this moment. That was halted; try again after RemovalTime.
var ErrRemoving = errors.New("its keys are being removed")

// Turned is what a change of a shop's settings has done.
type Turned struct {
	Before, After Shop
	Cancelled     []string // runs
	Behind        int      // runs that are planned, warming or ready and keep what they were planned with until they are restarted
}

const shopColumns = `w.shop_id, w.is_off, w.cached, w.datasets, w.after_us, w.max_rows, w.windows, w.version, w.who, w.why, w.changed_us`

func scanShop(row scanner) (Shop, error) {
	var sh Shop
	var us, after int64
	if err := row.Scan(&sh.ID, &sh.Off, &sh.Keys, &sh.Datasets, &after, &sh.MaxRows, &sh.Windows, &sh.Version, &sh.Who, &sh.Why, &us); err != nil {
		return Shop{}, err
	}
	sh.ChangedAt, sh.AfterEnd = fromMicros(us), time.Duration(after)*time.Microsecond
	return sh, nil
}

// Shop is what was said of a shop; of one of which nothing was, the zero settings.
func (s *Store) Shop(ctx context.Context, id string) (Shop, error) {
	sh, err := scanShop(s.db.QueryRowContext(ctx, `SELECT `+shopColumns+` FROM shop_settings w WHERE w.shop_id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Shop{ID: id}, nil
	}
	if err != nil {
		return Shop{}, fmt.Errorf("read settings of shop %s: %w", id, err)
	}
	sh.Removal, err = s.Removal(ctx, id)
	return sh, err
}

// Shops are the shops whose settings are not those of all others, by their ids.
func (s *Store) Shops(ctx context.Context) ([]Shop, error) {
	all, err := s.shops(ctx, `1 = 1`)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(sh Shop) bool { return sh.Settings == (Settings{}) })
	for i := range all {
		if all[i].Removal, err = s.Removal(ctx, all[i].ID); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Off are the shops that are switched off.
func (s *Store) Off(ctx context.Context) (map[string]*OffError, error) {
	all, err := s.shops(ctx, `w.is_off = 1`)
	off := make(map[string]*OffError, len(all))
	for _, sh := range all {
		off[sh.ID] = &OffError{sh}
	}
	return off, err
}

func (s *Store) shops(ctx context.Context, where string) (all []Shop, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+shopColumns+` FROM shop_settings w WHERE `+where+` ORDER BY w.shop_id`)
	if err != nil {
		return nil, fmt.Errorf("list shops' settings: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		sh, err := scanShop(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, sh)
	}
	return all, rows.Err()
}

// admitted refuses to make work for a shop that is switched off, with an *OffError. It must be the first of a transaction: a
// switch waits for those that have passed here, and those that come behind it find it turned.
func (s *Store) admitted(ctx context.Context, tx *sql.Tx, shop string) error {
	sh, err := scanShop(tx.QueryRowContext(ctx, `SELECT `+shopColumns+` FROM shop_settings w WHERE w.shop_id = ? AND w.is_off = 1`+s.dialect.share, shop))
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read settings of shop %s: %w", shop, err)
	}
	return &OffError{sh}
}

// onAdmitted is tx for a run whose shop is not switched off. Which shop that is never changes, so it is read outside of the transaction: whatever
// is read in one before a row is locked makes it blind for what others do until then.
func (s *Store) onAdmitted(ctx context.Context, run string, do func(*sql.Tx) error) error {
	var shop string
	err := s.db.QueryRowContext(ctx, `SELECT shop_id FROM runs WHERE run_id = ?`, run).Scan(&shop)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	return s.tx(ctx, func(tx *sql.Tx) error {
		if err := s.admitted(ctx, tx, shop); err != nil {
			return err
		}
		return do(tx)
	})
}

// SetShop changes a shop's settings, if they still have the version that they were read with; ErrState tells who was faster.
// Switching a shop off calls off all its runs whose broadcasts are not over, forgets its changed rows, and asks for its keys to
// be removed, all in one transaction. ErrRemoving: nothing was changed yet.
func (s *Store) SetShop(ctx context.Context, shop string, version int64, to Settings, by By) (Turned, error) {
	before, err := s.Shop(ctx, shop)
	if err != nil {
		return Turned{}, err
	}
	if before.Version != version {
		return Turned{}, overtaken(before)
	}
	if err := s.haltRemoval(ctx, shop); err != nil {
		return Turned{}, err
	}
	turned := Turned{Before: before}
	err = s.tx(ctx, func(tx *sql.Tx) (err error) {
		if err := s.writeShop(ctx, tx, before, to, by); err != nil {
			return err
		}
		if err := s.stopRemoval(ctx, tx, shop); err != nil {
			return err
		}
		if to.Off {
			if turned.Cancelled, err = s.switchOff(ctx, tx, shop, to, by); err != nil {
				return err
			}
		}
		return s.note(ctx, tx, Event{ShopID: shop, Unit: -1, Stage: StageSettings, Who: by.Who, Message: describe(before.Settings, to, by.Why)})
	})
	if err != nil {
		return Turned{}, err
	}
	if before.Kept != to.Kept {
		if turned.Behind, err = s.behind(ctx, shop, to.Kept); err != nil {
			return Turned{}, err
		}
	}
	turned.After, err = s.Shop(ctx, shop)
	return turned, err
}

// behind counts the runs of a shop that are open and were planned with something else, or may just be being planned with it.
func (s *Store) behind(ctx context.Context, shop string, k Kept) (n int, err error) {
	err = s.db.QueryRowContext(ctx, s.text(`SELECT COUNT(*) FROM runs r WHERE r.shop_id = ? AND r.state IN ('planned', 'warming', 'ready') AND r.ends_us > :now
		AND (r.planned_us = 0 OR r.datasets <> ? OR r.after_us <> ? OR r.max_rows <> ? OR r.windows <> ?)`), shop, k.Datasets, k.AfterEnd.Microseconds(), k.MaxRows, k.Windows).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count open runs of shop %s: %w", shop, err)
	}
	return n, nil
}

// writeShop writes settings by compare-and-set, and locks them until the transaction ends.
func (s *Store) writeShop(ctx context.Context, tx *sql.Tx, before Shop, to Settings, by By) error {
	args := []any{to.Off, to.Keys, to.Datasets, to.AfterEnd.Microseconds(), to.MaxRows, to.Windows, clipWho(by.Who), clip(by.Why), before.ID}
	statement := `UPDATE shop_settings SET is_off = ?, cached = ?, datasets = ?, after_us = ?, max_rows = ?, windows = ?, who = ?, why = ?, version = version + 1, changed_us = :now WHERE shop_id = ? AND version = ?`
	if args = append(args, before.Version); before.Version == 0 {
		statement = s.dialect.insertIgnore + ` INTO shop_settings (is_off, cached, datasets, after_us, max_rows, windows, who, why, shop_id, version, changed_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ? + 1, :now)`
	}
	n, err := s.exec(ctx, tx, statement, args...)
	if err != nil {
		return fmt.Errorf("write settings of shop %s: %w", before.ID, err)
	}
	if n == 0 {
		return fmt.Errorf("%w: the settings of shop %s are being changed by somebody else at this moment; read them again", ErrState, before.ID)
	}
	return nil
}

// switchOff ends what is done for a shop. Its settings are locked, so that no run can be added.
func (s *Store) switchOff(ctx context.Context, tx *sql.Tx, shop string, to Settings, by By) (cancelled []string, err error) {
	why := By{Who: by.Who, Why: (&OffError{Shop{ID: shop, By: By{Why: by.Why}}}).Error()}
	runs, err := openRuns(ctx, tx, s.text(`SELECT run_id FROM runs WHERE shop_id = ? AND state IN ('planned', 'warming', 'ready', 'failed') AND ends_us > :now ORDER BY run_id`), shop)
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		switch err := s.cancel(ctx, tx, run, why); {
		case err == nil:
			cancelled = append(cancelled, run)
		case !errors.Is(err, ErrState):
			return nil, err
		}
	}
	if _, err := s.exec(ctx, tx, `DELETE FROM pending WHERE shop_id = ?`, shop); err != nil {
		return nil, fmt.Errorf("forget changed rows: %w", err)
	}
	if _, err := s.exec(ctx, tx, `UPDATE changes SET needed = 0, why = ?, handled_us = :now, handled_by = ? WHERE shop_id = ? AND needed = 1 AND handled_us = 0`,
		clipWho(why.Why), clipWho(by.Who), shop); err != nil {
		return nil, fmt.Errorf("record changes as not needed: %w", err)
	}
	if to.Keys == KeysRemove {
		return cancelled, s.askRemoval(ctx, tx, shop)
	}
	return cancelled, nil
}

func openRuns(ctx context.Context, tx *sql.Tx, query string, args ...any) (ids []string, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list open runs: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("list open runs: %w", err)
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func describe(before, after Settings, why string) string {
	text := "was " + before.String() + "; is " + after.String()
	if why != "" {
		text += ": " + why
	}
	return text
}

func overtaken(now Shop) error {
	if now.Version == 0 {
		return fmt.Errorf("%w: nothing was said of shop %s yet, so its version is 0", ErrState, now.ID)
	}
	return fmt.Errorf("%w: the settings of shop %s were changed by %s at %s and are version %d now: %s", ErrState, now.ID, now.Who,
		now.ChangedAt.UTC().Format(time.RFC3339), now.Version, now.Settings)
}
