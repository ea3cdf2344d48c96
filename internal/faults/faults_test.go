package faults

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/faults/proxy"
	"github.com/prewarm-go/prewarm/internal/servers"
)

// fault is one kind of fault. do makes it, waits for as long as it is told, and heals it.
type fault struct {
	name        string
	on          string // "pod", "queue", "cache" or "db"
	least, most time.Duration
	early       bool // too long for the end of an evening
	clock       bool // needs a program whose clock can be shifted
	do          func(ctx context.Context, h hit) error
}

// hit is a fault on its target.
type hit struct {
	*evening
	event
	place *place // of a pod's fault
	rng   *rand.Rand
}

func (h hit) wait(ctx context.Context) { pause(ctx, h.length) }

// allFaults are all kinds there are.
var allFaults = []fault{
	{name: "pod_kill", on: "pod", least: 100 * time.Millisecond, most: 4 * time.Second, do: podKill},
	{name: "pod_term", on: "pod", least: 100 * time.Millisecond, most: 3 * time.Second, do: podTerm},
	{name: "pod_freeze", on: "pod", least: 11 * time.Second, most: 18 * time.Second, do: podFreeze},
	{name: "pod_freeze_long", on: "pod", least: 32 * time.Second, most: 35 * time.Second, early: true, do: podFreeze}, // past asynq's lease of 30 s too
	{name: "pod_clock", on: "pod", least: 4 * time.Second, most: 8 * time.Second, clock: true, do: podClock},
	{name: "link_delay", on: "pod", least: 2 * time.Second, most: 6 * time.Second, do: link(func(r *rand.Rand) proxy.Mode {
		rule := proxy.Rule{Delay: time.Duration(50+r.IntN(400)) * time.Millisecond}
		return proxy.Mode{Up: rule, Down: rule}
	})},
	{name: "link_cut", on: "pod", least: time.Second, most: 6 * time.Second, do: link(func(*rand.Rand) proxy.Mode { return proxy.Mode{Cut: true} })},
	{name: "link_half_open", on: "pod", least: 2 * time.Second, most: 8 * time.Second, do: link(func(*rand.Rand) proxy.Mode {
		return proxy.Mode{Up: proxy.Rule{Swallow: true}, Down: proxy.Rule{Swallow: true}}
	})},
	{name: "link_no_replies", on: "pod", least: time.Second, most: 6 * time.Second, do: link(func(*rand.Rand) proxy.Mode {
		return proxy.Mode{Up: usual.Up, Down: proxy.Rule{Swallow: true}}
	})},
	{name: "link_frozen", on: "pod", least: time.Second, most: 10 * time.Second, do: link(func(*rand.Rand) proxy.Mode {
		return proxy.Mode{Up: proxy.Rule{Freeze: true}, Down: proxy.Rule{Freeze: true}}
	})},
	{name: "pod_partitioned", on: "pod", least: 3 * time.Second, most: 10 * time.Second, do: podPartitioned},

	{name: "queue_kill", on: "queue", least: 200 * time.Millisecond, most: 4 * time.Second, do: kill(queueServer)},
	{name: "queue_freeze", on: "queue", least: time.Second, most: 5 * time.Second, do: freeze(queueServer)},
	{name: "queue_flush", on: "queue", least: time.Millisecond, most: time.Millisecond, do: flush(queueClient)},
	{name: "queue_read_only", on: "queue", least: time.Second, most: 5 * time.Second, do: readOnly(queueClient)},
	{name: "cache_kill", on: "cache", least: 200 * time.Millisecond, most: 4 * time.Second, do: kill(cacheServer)},
	{name: "cache_freeze", on: "cache", least: time.Second, most: 5 * time.Second, do: freeze(cacheServer)},
	{name: "cache_flush", on: "cache", least: time.Millisecond, most: time.Millisecond, do: flush(cacheClient)},
	{name: "cache_read_only", on: "cache", least: time.Second, most: 5 * time.Second, do: readOnly(cacheClient)},

	{name: "db_kill", on: "db", least: 200 * time.Millisecond, most: 4 * time.Second, do: kill(dbServer)},
	{name: "db_freeze", on: "db", least: time.Second, most: 5 * time.Second, do: freeze(dbServer)},
	{name: "db_connections", on: "db", least: time.Second, most: 5 * time.Second, do: dbConnections},
	{name: "db_deadlocks", on: "db", least: 2 * time.Second, most: 5 * time.Second, do: dbDeadlocks},
	{name: "db_disk_full", on: "db", least: time.Second, most: 5 * time.Second, do: refuse(1021, "Disk full (/tmp/x); waiting for someone to free some space")},
	{name: "db_table_full", on: "db", least: time.Second, most: 5 * time.Second, do: refuse(1114, "The table is full")},
	{name: "db_read_only", on: "db", least: time.Second, most: 5 * time.Second, do: refuse(1290, "The MariaDB server is running with the --read-only option so it cannot execute this statement")},
	{name: "db_hung_query", on: "db", least: 2 * time.Second, most: 6 * time.Second, do: dbHungQuery},
}

// inflict lets the evening's faults come at their times, and returns when all are over: when each was
// healed, of those that left something to be done.
func (e *evening) inflict(ctx context.Context, plan []event, out *outcome) []time.Time {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var ends []time.Time
	for i, ev := range plan {
		if !pause(ctx, ev.at-time.Since(e.began)) {
			break
		}
		out.Faults[ev.fault.name]++
		out.Kinds = append(out.Kinds, ev.fault.name)
		h := hit{evening: e, event: ev, rng: rand.New(rand.NewPCG(ev.pick, uint64(i)))}
		if number, ok := strings.CutPrefix(ev.target, "pod"); ok {
			h.place = e.places[number[0]-'0']
		}
		wg.Go(func() {
			busy := h.aim(ctx)
			e.say("FAULT %s on %s for %s, with %d units in hand", ev.fault.name, ev.target, ev.length.Round(time.Millisecond), busy)
			err := ev.fault.do(ctx, h)
			e.say("HEALED %s on %s %v", ev.fault.name, ev.target, err)
			if err != nil {
				e.problem("fault", fmt.Sprintf("%s on %s: %v", ev.fault.name, ev.target, err))
			}
			healed := time.Now()
			_, due, _, err := e.work(ctx)
			mu.Lock()
			defer mu.Unlock()
			if busy > 0 {
				out.Busy++
			}
			if err == nil && due > 0 {
				ends = append(ends, healed)
			}
		})
	}
	wg.Wait()
	return ends
}

// aim waits a little for work that the fault can hit, of the pod if it is a pod's: how many units were in hand.
func (h hit) aim(ctx context.Context) (units int) {
	who := "p%n%@%"
	if h.place != nil {
		who = h.place.user() + "@%"
	}
	for end := time.Now().Add(aimTime); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, 40*time.Millisecond) {
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		err := h.ledger.QueryRowContext(bounded, `SELECT COUNT(*) FROM units u WHERE u.state = 'running' AND EXISTS (SELECT 1 FROM `+logSchema+`.moves m
			WHERE m.run_id = u.run_id AND m.epoch = u.epoch AND m.unit = u.unit AND m.claim = u.claim AND m.state = 'running' AND m.who LIKE ?)`, who).Scan(&units)
		cancel()
		if err == nil && units > 0 {
			break
		}
	}
	return units
}

// aimTime bounds the wait for something to hit. A fault that finds nothing comes all the same.
const aimTime = 3 * time.Second

func podKill(ctx context.Context, h hit) error {
	h.place.hold()
	h.place.kill()
	h.wait(ctx)
	h.place.release()
	return nil
}

func podTerm(ctx context.Context, h hit) error {
	h.place.hold()
	defer h.place.release()
	if err := h.place.stop(); err != nil {
		h.problem("slow stop", h.place.String()+" "+err.Error())
	}
	h.wait(ctx)
	return nil
}

func podFreeze(ctx context.Context, h hit) error {
	h.place.signal(syscall.SIGSTOP, false)
	h.wait(ctx)
	h.place.signal(syscall.SIGCONT, false)
	return nil
}

func podClock(ctx context.Context, h hit) error {
	by := 10 * time.Minute
	if h.rng.IntN(2) == 0 {
		by = -by
	}
	h.say("the clock of %s moves by %s", h.target, by)
	if err := h.place.shift(by); err != nil {
		return err
	}
	h.wait(ctx)
	return h.place.shift(0)
}

// link is a fault of the way between one pod and one server.
func link(mode func(*rand.Rand) proxy.Mode) func(context.Context, hit) error {
	return func(ctx context.Context, h hit) error {
		route := routes[h.rng.IntN(len(routes))]
		h.say("it is the way of %s to the %s", h.target, route)
		h.place.links[route].Set(mode(h.rng))
		h.wait(ctx)
		h.place.links[route].Set(usual)
		return nil
	}
}

// podPartitioned cuts a pod off from all servers.
func podPartitioned(ctx context.Context, h hit) error {
	for _, l := range h.place.links {
		l.Set(proxy.Mode{Up: proxy.Rule{Swallow: true}, Down: proxy.Rule{Swallow: true}})
	}
	h.wait(ctx)
	for _, l := range h.place.links {
		l.Set(usual)
	}
	return nil
}

func queueServer(e *evening) *servers.Server { return e.queue }
func cacheServer(e *evening) *servers.Server { return e.cache }
func dbServer(e *evening) *servers.Server    { return e.db }
func queueClient(e *evening) *redis.Client   { return e.queueClient }
func cacheClient(e *evening) *redis.Client   { return e.cacheClient }

// kill ends a server as a crash would, and starts it again with what it had kept.
func kill(of func(*evening) *servers.Server) func(context.Context, hit) error {
	return func(ctx context.Context, h hit) error {
		of(h.evening).Kill()
		h.wait(ctx)
		return restart(of(h.evening))
	}
}

func freeze(of func(*evening) *servers.Server) func(context.Context, hit) error {
	return func(ctx context.Context, h hit) error {
		if err := of(h.evening).Freeze(); err != nil {
			return err
		}
		h.wait(ctx)
		return of(h.evening).Thaw()
	}
}

func flush(of func(*evening) *redis.Client) func(context.Context, hit) error {
	return func(ctx context.Context, h hit) error {
		h.losses.Add(1)
		defer h.losses.Add(1)
		client := of(h.evening)
		err := client.FlushAll(ctx).Err()
		if client == h.cacheClient {
			h.emptied.add(time.Now())
		}
		return err
	}
}

// readOnly makes a Redis the replica of a server that is not there, as a fail-over does that went to the wrong node.
func readOnly(of func(*evening) *redis.Client) func(context.Context, hit) error {
	return func(ctx context.Context, h hit) error {
		if err := of(h.evening).Do(ctx, "replicaof", "127.0.0.1", "1").Err(); err != nil {
			return err
		}
		h.wait(ctx)
		return of(h.evening).Do(ctx, "replicaof", "no", "one").Err()
	}
}

// dbConnections lets nobody in any more, and ends half of the connections that there are.
func dbConnections(ctx context.Context, h hit) error {
	var was int
	if err := h.ledger.QueryRowContext(ctx, "SELECT @@GLOBAL.max_connections").Scan(&was); err != nil {
		return err
	}
	defer func() {
		for range 50 {
			if _, err := h.ledger.ExecContext(ctx, fmt.Sprintf("SET GLOBAL max_connections = %d", was)); err == nil {
				return
			}
			pause(ctx, 100*time.Millisecond)
		}
	}()
	if _, err := h.ledger.ExecContext(ctx, "SET GLOBAL max_connections = 10"); err != nil {
		return err
	}
	rows, err := h.ledger.QueryContext(ctx, "SELECT id FROM information_schema.processlist WHERE user LIKE 'p%n%'")
	if err != nil {
		return err
	}
	var ids []int
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	_ = rows.Close()
	for _, id := range ids {
		if h.rng.IntN(2) == 0 && len(ids) > 10 {
			_, _ = h.ledger.ExecContext(ctx, fmt.Sprintf("KILL %d", id)) // it may be gone
		}
	}
	h.wait(ctx)
	return nil
}

// dbDeadlocks has other sessions lock the ledger's rows in the order that the product avoids.
func dbDeadlocks(ctx context.Context, h hit) error {
	ctx, cancel := context.WithTimeout(ctx, h.length)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 4 {
		rng := rand.New(rand.NewPCG(h.pick, uint64(100+i)))
		wg.Go(func() {
			for ctx.Err() == nil {
				_ = lockBackwards(ctx, h.ledger, rng) // to lose a deadlock is its purpose
				pause(ctx, time.Duration(rng.IntN(30))*time.Millisecond)
			}
		})
	}
	wg.Wait()
	return nil
}

func lockBackwards(ctx context.Context, db *sql.DB, rng *rand.Rand) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	var run string
	var epoch, unit int
	if err := tx.QueryRowContext(ctx, "SELECT run_id, epoch, unit FROM units WHERE state = 'running' ORDER BY RAND() LIMIT 1").Scan(&run, &epoch, &unit); err != nil {
		return err
	}
	for _, statement := range []string{
		fmt.Sprintf("SELECT 1 FROM units WHERE run_id = '%s' AND epoch = %d AND unit = %d FOR UPDATE", run, epoch, unit),
		fmt.Sprintf("SELECT 1 FROM runs WHERE run_id = '%s' FOR UPDATE", run),
		fmt.Sprintf("SELECT COUNT(*) FROM (SELECT unit FROM units WHERE run_id = '%s' ORDER BY unit DESC FOR UPDATE) q", run),
	} {
		var n int
		if err := tx.QueryRowContext(ctx, "SET STATEMENT innodb_lock_wait_timeout = 1 FOR "+statement).Scan(&n); err != nil {
			return err
		}
		pause(ctx, time.Duration(rng.IntN(20))*time.Millisecond)
	}
	return nil
}

// installRefusals makes every write to the ledger ask whether the disk is full. A small tablespace would fill up for good;
// what matters here is that writes fail with this error, and later do not.
func (e *evening) installRefusals(ctx context.Context) error {
	statements := []string{
		"CREATE TABLE " + logSchema + ".refusal (one INT PRIMARY KEY, errno INT NOT NULL, message VARCHAR(200) NOT NULL) ENGINE=InnoDB",
		"INSERT INTO " + logSchema + ".refusal VALUES (1, 0, '')",
	}
	rows, err := e.ledger.QueryContext(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'goose%'", ledgerSchema)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return err
		}
		for _, op := range []string{"INSERT", "UPDATE"} {
			statements = append(statements, fmt.Sprintf(`CREATE TRIGGER full_%s_%s BEFORE %s ON %s FOR EACH ROW BEGIN
				DECLARE e INT; DECLARE m VARCHAR(200); SELECT errno, message INTO e, m FROM %s.refusal WHERE one = 1;
				IF e <> 0 THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = e, MESSAGE_TEXT = m; END IF; END`, table, strings.ToLower(op), op, table, logSchema))
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, s := range statements {
		if _, err := e.ledger.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%w: %s", err, s)
		}
	}
	return nil
}

// refuse has the ledger's writes fail with an error.
func refuse(errno int, message string) func(context.Context, hit) error {
	return func(ctx context.Context, h hit) error {
		set := func(n int) error {
			_, err := h.ledger.ExecContext(ctx, fmt.Sprintf("UPDATE %s.refusal SET errno = %d, message = '%s'", logSchema, n, message))
			return err
		}
		if err := set(errno); err != nil {
			return err
		}
		h.wait(ctx)
		return set(0)
	}
}

// dbHungQuery makes every query of a big table wait.
func dbHungQuery(ctx context.Context, h hit) error {
	conn, err := h.source.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	table := []string{"users", "products", "orders"}[h.rng.IntN(3)]
	if _, err := conn.ExecContext(ctx, "LOCK TABLES "+table+" WRITE"); err != nil {
		return err
	}
	h.wait(ctx)
	_, err = conn.ExecContext(ctx, "UNLOCK TABLES")
	if errors.Is(err, sqldriver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) {
		return nil // another fault has ended the connection, and the lock with it
	}
	return err
}

// moments are times, in the order of their coming.
type moments struct {
	mu sync.Mutex
	at []time.Time
}

func (m *moments) add(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = append(m.at, at)
}

func (m *moments) all() []time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.at)
}
