package faults

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/faults/check"
)

// editor keeps changing the source's rows and remembers which version was acknowledged when.
type editor struct {
	db      *sql.DB
	rng     *rand.Rand
	history *check.History
	shops   []shop
	version int64
	extra   int // rows that were inserted
	edits   int
}

// editEvery is the pause between two edits, of up to 20 rows each.
const editEvery = 25 * time.Millisecond

func (ed *editor) run(ctx context.Context) {
	for ctx.Err() == nil {
		s := ed.shops[ed.rng.IntN(len(ed.shops))]
		switch n := ed.rng.IntN(40); {
		case n == 0:
			ed.comeAndGo(ctx, s)
		case n < 6:
			ed.sweep(ctx, s)
		default:
			ed.edit(ctx, s)
		}
		pause(ctx, editEvery)
	}
}

// edit moves some rows of a dataset to a new version. It is tried until the server has acknowledged it: one editor, and
// `version < ?`, so that a statement that arrives late changes nothing.
func (ed *editor) edit(ctx context.Context, s shop) {
	k := kinds[ed.rng.IntN(len(kinds))]
	ed.version++
	var keys, ids []string
	for range 1 + ed.rng.IntN(20) {
		key, id := ed.pick(k, s)
		keys, ids = append(keys, key), append(ids, id)
	}
	statement := fmt.Sprintf("UPDATE %s SET version = %d, body = %s WHERE %s = %d AND (%s) IN (%s) AND version < %d",
		k.table, ed.version, k.body(), k.shop, s.id, strings.Join(k.key, ", "), strings.Join(keys, ", "), ed.version)
	if !ed.until(ctx, statement) {
		return
	}
	now := time.Now()
	for _, id := range ids {
		ed.history.Edited(k.name+"/"+id, ed.version, now)
	}
	ed.edits++
}

// sweep moves all rows of a shop's dataset to a new version: a page that a later run leaves out cannot hide behind what an
// earlier run had written.
func (ed *editor) sweep(ctx context.Context, s shop) {
	k := kinds[ed.rng.IntN(len(kinds))]
	ed.version++
	if !ed.until(ctx, fmt.Sprintf("UPDATE %s SET version = %d, body = %s WHERE %s = %d AND version < %d", k.table, ed.version, k.body(), k.shop, s.id, ed.version)) {
		return
	}
	now := time.Now()
	for n := 1; n <= k.rows(s); n++ {
		_, id := k.rowName(s, n)
		ed.history.Edited(k.name+"/"+id, ed.version, now)
	}
	ed.edits++
}

// pick is a row by chance. A few rows are picked often.
func (ed *editor) pick(k kind, s shop) (key, id string) {
	n := 1 + ed.rng.IntN(k.rows(s))
	if ed.rng.IntN(3) == 0 {
		n = 1 + ed.rng.IntN(min(k.rows(s), 5))
	}
	return k.rowName(s, n)
}

// comeAndGo inserts a user or removes one; whether the cache has it is anybody's guess.
func (ed *editor) comeAndGo(ctx context.Context, s shop) {
	id := idOf(s.id, 90000+ed.extra)
	if ed.extra++; ed.extra%2 == 0 {
		id = idOf(s.id, 1+ed.rng.IntN(s.rows))
		ed.history.Loose(fmt.Sprintf("users/%d", id))
		ed.until(ctx, fmt.Sprintf("DELETE FROM users WHERE shop_id = %d AND user_id = %d", s.id, id))
		return
	}
	ed.history.Loose(fmt.Sprintf("users/%d", id))
	ed.until(ctx, fmt.Sprintf(`INSERT IGNORE INTO users (shop_id, user_id, nickname, level, balance, body) VALUES (%d, %d, 'new', 1, 0, 'users %d "v0" 直播')`, s.id, id, id))
}

func (ed *editor) until(ctx context.Context, statement string) bool {
	for ctx.Err() == nil {
		bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := ed.db.ExecContext(bounded, statement)
		cancel()
		if err == nil {
			return true
		}
		pause(ctx, 100*time.Millisecond)
	}
	return false
}

// pause waits; false when the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
