package check

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

type run struct {
	id, shop, broadcast, state, reason, lastError string
	epoch                                         int
	ends                                          time.Time
}

type unit struct {
	unitID
	dataset, state, from, to string
	touch                    bool
}

func readRuns(ctx context.Context, db *sql.DB) ([]run, error) {
	rows, err := db.QueryContext(ctx, `SELECT run_id, shop_id, broadcast_id, state, reason, last_error, epoch, ends_us FROM runs ORDER BY run_id`)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var runs []run
	for rows.Next() {
		var r run
		var us int64
		if err := rows.Scan(&r.id, &r.shop, &r.broadcast, &r.state, &r.reason, &r.lastError, &r.epoch, &us); err != nil {
			return nil, fmt.Errorf("read runs: %w", err)
		}
		r.ends = time.UnixMicro(us)
		runs = append(runs, r)
	}
	return runs, rows.Err()
}

func readUnits(ctx context.Context, db *sql.DB) ([]unit, error) {
	rows, err := db.QueryContext(ctx, `SELECT u.run_id, u.epoch, u.unit, u.dataset, u.state, u.key_from, u.key_to, u.touch FROM units u JOIN runs r
		ON r.run_id = u.run_id AND r.epoch = u.epoch`)
	if err != nil {
		return nil, fmt.Errorf("read units: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var units []unit
	for rows.Next() {
		var u unit
		if err := rows.Scan(&u.run, &u.epoch, &u.unitID.unit, &u.dataset, &u.state, &u.from, &u.to, &u.touch); err != nil {
			return nil, fmt.Errorf("read units: %w", err)
		}
		units = append(units, u)
	}
	return units, rows.Err()
}

func byShop(runs []run) map[string][]run {
	shops := map[string][]run{}
	for _, r := range runs {
		shops[r.shop] = append(shops[r.shop], r)
	}
	return shops
}

// checkRuns wants an end of every run and of every broadcast that was accepted.
func checkRuns(res *Result, runs []run, units []unit, announced []Broadcast) {
	open := map[string][]string{}
	for _, u := range units {
		if u.state != "done" || u.touch {
			open[u.run] = append(open[u.run], fmt.Sprintf("unit %d is %s, touch %t", u.unitID.unit, u.state, u.touch))
		}
	}
	known, of := map[string]run{}, map[[2]string]run{}
	for _, r := range runs {
		known[r.id], of[[2]string{r.shop, r.broadcast}] = r, r
		res.States[r.state]++
		name := fmt.Sprintf("run %s (shop %s, broadcast %s)", r.id, r.shop, r.broadcast)
		switch r.state {
		case "ready":
			if len(open[r.id]) > 0 {
				res.add(Forgotten, "%s is ready and not at rest: %s", name, strings.Join(open[r.id], "; "))
			}
		case "failed":
			if r.lastError == "" {
				res.add(NoReason, "%s is failed without an error", name)
			}
		case "skipped":
			if r.reason == "" {
				res.add(NoReason, "%s is skipped without a reason", name)
			}
		case "cancelled": // somebody wanted it so
		default:
			res.add(Forgotten, "%s is still %s: %s", name, r.state, strings.Join(open[r.id], "; "))
		}
	}
	for _, b := range announced {
		r, ok := of[[2]string{b.Shop, b.ID}]
		switch {
		case b.RunID != "" && known[b.RunID].id == "":
			res.add(Forgotten, "broadcast %s of shop %s was accepted as run %s, which is not there", b.ID, b.Shop, b.RunID)
		case b.Cancelled && ok && r.state != "cancelled" && r.state != "skipped":
			res.add(Uncalled, "broadcast %s of shop %s was called off and its run %s is %s", b.ID, b.Shop, r.id, r.state)
		}
	}
}

// compareCursors orders two cursors: JSON arrays of the texts of a row's keys. An empty one is before all.
func compareCursors(a, b string) int {
	x, y := cursorOf(a), cursorOf(b)
	for i := range min(len(x), len(y)) {
		if c := compareTexts(x[i], y[i]); c != 0 {
			return c
		}
	}
	return len(x) - len(y)
}

func cursorOf(text string) []string {
	var keys []string
	if text == "" || json.Unmarshal([]byte(text), &keys) != nil {
		return nil
	}
	return keys
}

// compareTexts orders numbers by value and other texts, such as dates, by their bytes.
func compareTexts(a, b string) int {
	x, errX := strconv.ParseInt(a, 10, 64)
	y, errY := strconv.ParseInt(b, 10, 64)
	switch {
	case errX != nil || errY != nil:
		return strings.Compare(a, b)
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}
