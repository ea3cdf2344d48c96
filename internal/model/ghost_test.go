//go:build !race

package model

import (
	"fmt"
	"strings"
	"time"
)

// tooOld is how long after a row has changed its old value may still come to be written over the new one: the loader's
// limit for a page, the cache's patience, and what a call may be late.
const tooOld = 10 * time.Second

// afterEnd is policy.expire.after_end.
const afterEnd = 30 * time.Minute

// ghost sees everything and says what must not be. It keeps its own picture of the ledger from the changed rows.
type ghost struct {
	w         *world
	src       *tables
	runs      map[string]*runRow
	units     map[unitID]*unitRow
	ever      map[epochID]bool          // was ready
	asOf      map[epochID][shopRows]int // the rows' versions when the epoch's first unit was claimed
	trust     map[trustID]time.Time     // until when a pod trusts its lease
	pages     map[string]int            // how often each page was written
	again     int                       // pages written more than once, all told
	cacheLost time.Time                 // when the cache was flushed last
	flushed   bool                      // the leases were lost with the queue's Redis
}

type (
	unitID struct {
		run         string
		epoch, unit int64
	}
	epochID struct {
		run   string
		epoch int64
	}
	trustID struct {
		pod       *pod
		shop, run string
	}
)

type runRow struct {
	id, shop, broadcast, state              string
	epoch, ends, started, flagged, attempts int64
}

type unitRow struct {
	unitID
	state, from, to, cursor     string
	claim, seq, attempts, touch int64
	owner                       string
}

func newGhost(w *world, src *tables) *ghost {
	return &ghost{w: w, src: src, runs: map[string]*runRow{}, units: map[unitID]*unitRow{}, ever: map[epochID]bool{},
		asOf: map[epochID][shopRows]int{}, trust: map[trustID]time.Time{}, pages: map[string]int{}}
}

func column(columns []string, row []any, name string) any {
	for i, c := range columns {
		if c == name {
			return row[i]
		}
	}
	panic("the ledger has no column " + name)
}

func toRun(columns []string, row []any) *runRow {
	s := func(name string) string { return column(columns, row, name).(string) }
	n := func(name string) int64 { return column(columns, row, name).(int64) }
	return &runRow{id: s("run_id"), shop: s("shop_id"), broadcast: s("broadcast_id"), state: s("state"), epoch: n("epoch"),
		ends: n("ends_us"), started: n("started_us"), flagged: n("flagged_us"), attempts: n("attempts")}
}

func toUnit(columns []string, row []any) *unitRow {
	s := func(name string) string { return column(columns, row, name).(string) }
	n := func(name string) int64 { return column(columns, row, name).(int64) }
	return &unitRow{unitID: unitID{s("run_id"), n("epoch"), n("unit")}, state: s("state"), from: s("key_from"), to: s("key_to"),
		cursor: s("key_cursor"), claim: n("claim"), seq: n("task_seq"), attempts: n("attempts"), owner: s("owner"), touch: n("touch")}
}

// committed looks at the rows that one statement or transaction changed.
func (g *ghost) committed(a *actor, columns map[string][]string, changes []change) {
	for _, c := range changes {
		if c.table == "runs" {
			g.run(a, toRun(columns["runs"], c.row))
		} else {
			g.unit(a, toUnit(columns["units"], c.row))
		}
	}
}

func (g *ghost) run(a *actor, now *runRow) {
	old := g.runs[now.id]
	g.runs[now.id] = now
	if old == nil {
		runNames.Store(now.id, now.broadcast)
		g.w.note(a, "    run %s: %s", shortRun(now.id), now.state)
		return
	}
	if old.state != now.state || old.epoch != now.epoch {
		g.w.note(a, "    run %s: epoch %d %s → epoch %d %s", shortRun(now.id), old.epoch, old.state, now.epoch, now.state)
	}
	id := epochID{now.id, now.epoch}
	switch {
	case now.epoch < old.epoch:
		g.w.fail("run %s went back from epoch %d to %d", shortRun(now.id), old.epoch, now.epoch)
	case now.epoch > old.epoch+1:
		g.w.fail("run %s went from epoch %d to %d in one step", shortRun(now.id), old.epoch, now.epoch)
	case now.epoch == old.epoch && now.state != old.state && !mayFollow(old.state, now.state):
		g.w.fail("run %s went from %s to %s", shortRun(now.id), old.state, now.state)
	}
	if now.started != 0 && old.started == 0 {
		g.asOf[id] = g.src.versions(now.shop)
	}
	if now.state == "ready" && (old.state != "ready" || old.epoch != now.epoch) {
		g.ever[id] = true
		g.ready(now)
	}
}

func mayFollow(old, now string) bool {
	return strings.Contains(map[string]string{
		"planned": "warming failed cancelled", "warming": "ready failed cancelled planned", "ready": "cancelled warming failed",
		"failed": "warming planned cancelled ready", "cancelled": "", "skipped": "planned",
	}[old], now)
}

// ready: every unit is done, and every row is in the cache, as new as when the epoch began, for long enough.
func (g *ghost) ready(r *runRow) {
	n := 0
	for _, u := range g.units {
		if u.run == r.id && u.epoch == r.epoch {
			if n++; u.state != "done" {
				g.w.fail("run %s is ready and its unit %d is %s", shortRun(r.id), u.unitID.unit, u.state)
			}
		}
	}
	if n != unitsOfShop {
		g.w.fail("run %s is ready with %d units of %d", shortRun(r.id), n, unitsOfShop)
	}
	if time.UnixMicro(r.started).After(g.cacheLost) { // else it may have to be found and loaded again
		if cold := g.cold(r); cold != "" {
			g.w.fail("%s", cold)
		}
	}
}

func (u unitID) String() string {
	return fmt.Sprintf("%s.%d unit %d", shortRun(u.run), u.epoch, u.unit)
}

// cold is what is not as a ready run promises of the cache, or "".
func (g *ghost) cold(r *runRow) string {
	asOf := g.asOf[epochID{r.id, r.epoch}]
	for i := range asOf {
		key := keyOf(r.shop, i+1)
		switch c, ok := g.w.cache.rows[key]; {
		case !ok:
			return fmt.Sprintf("run %s is ready and row %s is not in the cache", shortRun(r.id), key)
		case c.version < asOf[i]:
			return fmt.Sprintf("run %s is ready with version %d of row %s, which was at version %d when it began", shortRun(r.id), c.version, key, asOf[i])
		case !g.flushed && c.until < time.UnixMicro(r.ends).Add(afterEnd).UnixMilli():
			return fmt.Sprintf("run %s is ready and row %s expires before the broadcast has ended", shortRun(r.id), key)
		}
	}
	for key, m := range g.w.cache.marks {
		if !g.flushed && strings.HasSuffix(key, fmt.Sprintf(":mark:%s.%d", r.id, r.epoch)) && m.until < time.UnixMicro(r.ends).Add(afterEnd).UnixMilli() {
			return fmt.Sprintf("run %s is ready and its mark expires before the broadcast has ended", shortRun(r.id))
		}
	}
	return ""
}

func (g *ghost) unit(a *actor, now *unitRow) {
	old := g.units[now.unitID]
	g.units[now.unitID] = now
	if old == nil {
		g.current(a, now)
		return
	}
	if g.w.tracing {
		g.w.note(a, "    %s: %s", now.unitID, difference(old, now))
	}
	if now.claim < old.claim {
		g.w.fail("%s: claim went back from %d to %d", now.unitID, old.claim, now.claim)
	}
	if now.seq < old.seq {
		g.w.fail("%s: task number went back from %d to %d", now.unitID, old.seq, now.seq)
	}
	reset := now.claim > old.claim && (now.state == "waiting" || now.state == "failed")
	if position(now.cursor) < position(old.cursor) && !reset {
		g.w.fail("%s: cursor went back from %s to %s", now.unitID, old.cursor, now.cursor)
	}
	if reset && now.cursor == "" {
		g.w.faults += unitRows // its pages are written again
	}
	if old.state == "done" && now.state == "running" {
		g.w.fail("%s: was done and is running", now.unitID)
	}
	if now.state != "cancelled" {
		g.current(a, now)
	}
	if a.task != nil && now.state != "cancelled" {
		g.byHandler(a, old, now)
	}
}

func difference(old, now *unitRow) string {
	var parts []string
	add := func(name string, a, b any) {
		if a != b {
			parts = append(parts, fmt.Sprintf("%s %v → %v", name, a, b))
		}
	}
	add("state", old.state, now.state)
	add("cursor", position(old.cursor), position(now.cursor))
	add("claim", old.claim, now.claim)
	add("task", old.seq, now.seq)
	add("attempts", old.attempts, now.attempts)
	add("touch", old.touch, now.touch)
	add("owner", old.owner, now.owner)
	return strings.Join(parts, ", ")
}

// current: units of older epochs are history.
func (g *ghost) current(_ *actor, u *unitRow) {
	if r := g.runs[u.run]; r == nil || r.epoch != u.epoch {
		g.w.fail("%s was changed though its run is at another epoch", u.unitID)
	}
}

// byHandler: only the newest task claims its unit, and only the newest claim writes.
func (g *ghost) byHandler(a *actor, old, now *unitRow) {
	if old.state != "running" && now.state == "running" {
		if now.claim != old.claim+1 {
			g.w.fail("%s: was claimed and its claim went from %d to %d", now.unitID, old.claim, now.claim)
		}
		own := old.unitID == unitID{a.task.load.Run, int64(a.task.load.Epoch), int64(a.task.load.Unit)}
		if own && int64(a.task.seq) != old.seq {
			g.w.fail("%s: was claimed by task %d though %d is the newest", now.unitID, a.task.seq, old.seq)
		}
		// A task gives way to a more urgent run's unit that waits and was never tried.
		if !own && (old.state != "waiting" || old.attempts != 0 || old.run == a.task.load.Run) {
			g.w.fail("%s: was claimed by the task of another unit", now.unitID)
		}
		a.has = &claim{now.unitID, now.claim}
		return
	}
	// Whoever carries a moved end ends or opens what is done and waits for it, in the transaction of its own unit.
	if old.state == "done" && old.touch == 1 && a.has != nil && a.has.unit.run == old.run && a.has.unit.epoch == old.epoch {
		return
	}
	if a.has == nil || a.has.unit != now.unitID || old.state != "running" || a.has.n != old.claim {
		g.w.fail("%s: was written by a claim that is not the newest (%v; it is %d)", now.unitID, a.has, old.claim)
	}
}

// Leases.

// margin is what package lease keeps back of a lease.
func trusted(ttl time.Duration) time.Duration { return ttl - min(ttl/10, 5*time.Second) }

// obtained: a pod was given a lease or had it renewed, by a call that it had begun at a time.
func (g *ghost) obtained(p *pod, shop, run string, began time.Time, ttl time.Duration) {
	now := time.Now()
	for id, until := range g.trust {
		if id.shop == shop && id.run != run && until.After(now) && !id.pod.dead {
			g.w.fail("run %s gets the lease of %s while %s trusts that run %s has it", shortRun(run), shop, id.pod.id, shortRun(id.run))
		}
	}
	id := trustID{p, shop, run}
	if until := began.Add(trusted(ttl)); until.After(g.trust[id]) {
		g.trust[id] = until
	}
}

// released: whoever ends a run takes its lease away from those that still work on it.
func (g *ghost) released(shop, run string) {
	for id := range g.trust {
		if id.shop == shop && id.run == run {
			delete(g.trust, id)
		}
	}
}

// works is the unit that a slot works on: its task's, or the one that its task gives way to.
func (a *actor) works() unitID {
	if a.has != nil {
		return a.has.unit
	}
	l := a.task.load
	return unitID{l.Run, int64(l.Epoch), int64(l.Unit)}
}

// writing: a page is about to be sent, which nobody does whose trust has run out.
func (g *ghost) writing(a *actor) {
	if a.task == nil || a.pod.dead || a.pod.thawed(time.Now()) {
		return
	}
	r := g.runs[a.works().run]
	if until, ok := g.trust[trustID{a.pod, r.shop, r.id}]; ok && !until.After(time.Now()) {
		g.w.fail("%s writes to %s though its trust in the lease has ended", a.name, r.shop)
	}
}

// The cache.

// wrote counts pages.
func (g *ghost) wrote(a *actor, page []write) {
	if a.task == nil || page[0].verb != "set" {
		return
	}
	u := a.works()
	id := fmt.Sprintf("%s.%d.%d %s", u.run, u.epoch, u.unit, page[0].key)
	if g.pages[id]++; g.pages[id] > 1 {
		g.again++
		if g.again > g.w.faults {
			g.w.fail("pages were written again %d times, after faults that explain %d", g.again, g.w.faults)
		}
	}
}

// replaced: an older value does not replace a newer one, unless it has only just become old.
func (g *ghost) replaced(a *actor, now write, had cached, ok bool) {
	if !ok || now.version >= had.version {
		return
	}
	shop, id, _ := strings.Cut(now.key, ":")
	r := g.src.rows[shop][position(id)-1]
	if since := r.edits[now.version-1]; time.Since(since) > tooOld {
		g.w.fail("%s writes version %d of row %s over version %d; it has been old for %s", a.name, now.version, now.key, had.version, time.Since(since))
	}
}

// flag is what is wrong with a run's flag, or "". After the broadcast it does not matter.
func (g *ghost) flag(r *runRow) string {
	set := ""
	for key := range g.w.redis.keys {
		if v, ok := g.w.redis.get(key); ok && strings.HasSuffix(key, ":ready:"+r.broadcast) {
			set = v
		}
	}
	switch {
	case r.state == "ready" && !strings.Contains(set, r.id):
		return fmt.Sprintf("run %s is ready and has no flag", shortRun(r.id))
	case r.state != "ready" && set != "":
		return fmt.Sprintf("run %s is %s and has a ready flag", shortRun(r.id), r.state)
	}
	return ""
}

// unfinished says what is still to come, or "".
func (g *ghost) unfinished() string {
	for _, r := range g.runs {
		if r.state == "planned" || r.state == "warming" {
			return fmt.Sprintf("run %s is %s", shortRun(r.id), r.state)
		}
		if !time.UnixMicro(r.ends).After(time.Now()) {
			continue
		}
		if wrong := g.flag(r); wrong != "" {
			return wrong
		}
		if r.state != "ready" {
			continue
		}
		for _, u := range g.units {
			if u.run == r.id && u.epoch == r.epoch && u.state != "done" {
				return fmt.Sprintf("run %s is ready and its unit %d is %s", shortRun(r.id), u.unitID.unit, u.state)
			}
		}
		if cold := g.cold(r); cold != "" {
			return cold
		}
	}
	return ""
}
