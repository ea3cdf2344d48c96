//go:build !race

package model

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mutation is a fault that is put into the protocol, to see that the model finds it.
type mutation struct {
	name                                                       string
	replace                                                    []string // in the ledger's statements: old, new by turns
	leaseNotRenewed, cursorBeforeWrite, noStrays, marksNotKept bool

	replacer *strings.Replacer
	met      bool // a statement was changed
}

func (m *mutation) statement(query string) string {
	if len(m.replace) == 0 {
		return query
	}
	if m.replacer == nil {
		m.replacer = strings.NewReplacer(m.replace...)
	}
	changed := m.replacer.Replace(query)
	m.met = m.met || changed != query
	return changed
}

// behind answers a page's write before it is done.
func (w *world) behind(a *actor, what string, apply func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &call{key: a.name + "/behind", who: a, kind: toCache, what: what + " (behind)", apply: apply, reply: make(chan error, 1)}
	w.calls = insert(w.calls, c)
}

// mutations are the faults that the model has to find within the default seeds.
var mutations = []mutation{
	{name: "fence not checked", replace: []string{"AND claim = ? AND state = 'running'", "AND (claim = ? OR 1 = 1)"}},
	{name: "cursor moved before the write", cursorBeforeWrite: true},
	{name: "ready before the last unit", replace: []string{"CASE WHEN u.state IN ('waiting', 'running') OR", "CASE WHEN u.state IN ('waiting') OR"}},
	{name: "lease not renewed", leaseNotRenewed: true},
	{name: "epoch ignored", replace: []string{"AND epoch = ?", "AND (epoch = ? OR 1 = 1)"}},
	{name: "epoch ignored by the plan", replace: []string{"AND epoch = ? AND state = 'planned' AND planned_us = 0", "AND (epoch = ? OR 1 = 1) AND state = 'planned' AND planned_us = 0"}},
	{name: "task number ignored by the claim", replace: []string{"AND task_seq = ? AND state IN ('waiting', 'failed')", "AND (task_seq = ? OR 1 = 1) AND state IN ('waiting', 'failed')"}},
	{name: "claim does not move the fence", replace: []string{"SET state = 'running', claim = claim + 1", "SET state = 'running', claim = claim"}},
	{name: "a running unit is claimed", replace: []string{"AND task_seq = ? AND state IN ('waiting', 'failed')", "AND task_seq = ? AND state IN ('waiting', 'failed', 'running')"}},
	{name: "cancel and restart leave the units", replace: []string{"WHERE run_id = ? AND state IN ('waiting', 'running', 'failed')", "WHERE 1 = 0 AND run_id = ? AND state IN ('waiting', 'running', 'failed')"}},
	{name: "dead pods' units are not taken over", replace: []string{"(p.pod IS NULL OR p.beat_us <= ", "(1 = 0 AND p.beat_us <= "}},
	{name: "strays are not let go", noStrays: true},
	{name: "lost tasks are not refilled", replace: []string{"AND (u.run_id > ? OR (u.run_id = ? AND u.unit > ?))", "AND 1 = 0 AND (u.run_id > ? OR (u.run_id = ? AND u.unit > ?))"}},
	{name: "lost plans are not repeated", replace: []string{"WHERE r.state = 'planned' AND r.planned_us = 0", "WHERE 1 = 0 AND r.state = 'planned' AND r.planned_us = 0"}},
	{name: "missing flags are not set", replace: []string{"'failed', 'cancelled') AND r.ends_us >", "'failed', 'cancelled') AND 1 = 0 AND r.ends_us >"}},
	{name: "a moved end leaves the expiry", replace: []string{"UPDATE units SET touch = 1", "UPDATE units SET touch = 0"}},
	{name: "a moved end is recorded and not carried out", replace: []string{"carries = 1, state = 'waiting', attempts = 0", "carries = 1, touch = 0, state = 'waiting', attempts = 0", "OR (u.state = 'done' AND u.touch = 1)", "OR (1 = 0)", "u.state = 'done' AND u.touch = 1 AND NOT EXISTS", "u.state = 'done' AND 1 = 0 AND NOT EXISTS"}},
	{name: "a moved end leaves the mark", marksNotKept: true},
	{name: "a shorter broadcast shortens the keys", replace: []string{"THEN 1 ELSE 0 END FROM runs r WHERE r.shop_id = ?", "THEN 0 ELSE 0 END FROM runs r WHERE r.shop_id = ?"}},
	{name: "what the cache has lost is not looked for", replace: []string{"AND marked > 0", "AND marked < 0"}},
}

func TestMutationsAreFound(t *testing.T) {
	if os.Getenv(share) == "" {
		t.Parallel()
		t.Log(alone(t, "TestMutationsAreFound"))
		return
	}
	captureMetadata(t)
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			db := openDatabase(t)
			for seed := uint64(1); seed <= defaultSeeds; seed++ {
				failed, _, _ := evening(t, db, &m, generate(seed), false)
				if seed == 100 {
					require.True(t, m.met || len(m.replace) == 0, "no statement of the ledger has what is to be replaced")
				}
				if failed == "" {
					continue
				}
				steps, why, lines := shortest(t, db, &m, seed)
				t.Logf("found by seed %d: %s; shrunk to %d steps, %d lines: %s", seed, failed, len(steps), len(lines), why)
				return
			}
			t.Errorf("%d seeds do not find it", defaultSeeds)
		})
	}
}
