package check

import (
	"database/sql"
	"go/parser"
	"go/token"
	"hash/fnv"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// The ledger as the checker knows it: the columns that it reads, and no other.
var ledgerTables = []string{
	`CREATE TABLE runs (run_id CHAR(32) PRIMARY KEY, shop_id VARCHAR(128), broadcast_id VARCHAR(128), state VARCHAR(16), reason TEXT NOT NULL, last_error TEXT NOT NULL,
		epoch INT, ends_us BIGINT)`,
	`CREATE TABLE units (run_id CHAR(32), epoch INT, unit INT, dataset VARCHAR(64), state VARCHAR(16), key_from TEXT NOT NULL, key_to TEXT NOT NULL, key_cursor TEXT NOT NULL,
		rows_done BIGINT NOT NULL DEFAULT 0, pages BIGINT NOT NULL DEFAULT 0, claim BIGINT NOT NULL DEFAULT 0, owner VARCHAR(128) NOT NULL DEFAULT '', touch INT NOT NULL DEFAULT 0,
		PRIMARY KEY (run_id, epoch, unit))`,
	`CREATE TABLE users (id BIGINT PRIMARY KEY, shop_id BIGINT, name VARCHAR(20), version BIGINT, body VARCHAR(50))`,
	`CREATE TABLE goods (day DATE, seq INT, shop_id BIGINT, note VARCHAR(20), version BIGINT, body VARCHAR(50), PRIMARY KEY (day, seq))`,
	`CREATE TABLE staff (id BIGINT PRIMARY KEY, shop_id BIGINT, version BIGINT, body VARCHAR(50))`,
	`CREATE TABLE coupons (id BIGINT PRIMARY KEY, shop_id BIGINT, version BIGINT, body VARCHAR(50))`,
}

// evening is a small one that went well: one run of shop 7, ready, everything in the cache. Tests spoil it.
type evening struct {
	t     *testing.T
	db    *sql.DB
	dsn   string
	cache *redis.Client
	Config
	ends  time.Time
	began time.Time
}

func body(name string) func(Row) string {
	return func(r Row) string { return name + " v" + r.Text("version") }
}

func newEvening(t *testing.T) *evening {
	t.Helper()
	e := &evening{t: t, dsn: testenv.MySQL(t), ends: time.Now().Add(time.Hour).Truncate(time.Second)}
	e.db = e.login("root")
	opts, err := redis.ParseURL(testenv.Redis(t).URL)
	require.NoError(t, err)
	e.cache = redis.NewClient(opts)
	t.Cleanup(func() { require.NoError(t, e.cache.Close()) })
	for _, table := range ledgerTables {
		e.exec(table)
	}
	log := e.dsn[strings.LastIndex(e.dsn, "/")+1:] + "_log"
	require.NoError(t, Install(t.Context(), e.db, log))
	t.Cleanup(func() { _, _ = e.db.Exec("DROP DATABASE " + log) })
	e.Config = Config{
		Ledger: e.db, Log: log, Source: e.db, Cache: e.cache, History: NewHistory(), After: 30 * time.Minute, Jitter: 10 * time.Minute,
		Announced: []Broadcast{{Shop: "7", ID: "b", RunID: "r1", Ends: []time.Time{e.ends}}},
		Datasets: []Dataset{
			{Name: "users", Query: "SELECT id, name, version, body FROM users WHERE shop_id = ? ORDER BY id", Key: "user:{shop}:{id}", Form: Document, By: []string{"id"},
				Text: []string{"name", "body"}, Body: body("user"), ID: func(r Row) string { return "users/" + r.Text("id") }},
			{Name: "goods", Query: "SELECT day, seq, note, version, body FROM goods WHERE shop_id = ?", Key: "good:{day}:{seq}", Form: Hash, By: []string{"day", "seq"},
				Body: body("good"), ID: func(r Row) string { return "goods/" + r.Text("seq") }},
			{Name: "staff", Query: "SELECT id, version, body FROM staff WHERE shop_id = ?", Key: "staff:{shop}", Field: "{id}", Form: Documents, Text: []string{"body"},
				Body: body("staff"), ID: func(r Row) string { return "staff/" + r.Text("id") }},
			{Name: "coupons", Query: "SELECT id, version, body FROM coupons WHERE shop_id = ?", Key: "coupons:{shop}", Field: "{id}", Form: Rows, Text: []string{"body"},
				Body: body("coupon"), ID: func(r Row) string { return "coupons/" + r.Text("id") }},
		},
	}
	e.work()
	return e
}

// login connects as a database user: any name will do.
func (e *evening) login(user string) *sql.DB {
	e.t.Helper()
	db, err := sql.Open("mysql", strings.Replace(e.dsn, "root@", user+"@", 1))
	require.NoError(e.t, err)
	e.t.Cleanup(func() { require.NoError(e.t, db.Close()) })
	return db
}

func (e *evening) exec(statement string, args ...any) {
	e.t.Helper()
	e.as(e.db, statement, args...)
}

func (e *evening) as(db *sql.DB, statement string, args ...any) {
	e.t.Helper()
	_, err := db.ExecContext(e.t.Context(), statement, args...)
	require.NoError(e.t, err, statement)
}

// work does what a pod would: three pages of users, and a unit for each of the rest.
func (e *evening) work() {
	e.t.Helper()
	e.exec("INSERT INTO users VALUES (1, 7, 'a', 0, 'user v0'), (2, 7, NULL, 0, 'user v0'), (30, 7, 'c', 5, 'user v5')")
	e.exec("INSERT INTO goods VALUES ('2026-01-02', 9, 7, NULL, 0, 'good v0')")
	e.exec("INSERT INTO staff VALUES (1, 7, 3, 'staff v3')")
	e.exec("INSERT INTO coupons VALUES (1, 7, 0, 'coupon v0')")
	e.exec("INSERT INTO runs VALUES ('r1', '7', 'b', 'planned', '', '', 1, ?)", e.ends.UnixMicro())
	for i, dataset := range []string{"users", "goods", "staff", "coupons"} {
		e.exec("INSERT INTO units (run_id, epoch, unit, dataset, state, key_from, key_to, key_cursor) VALUES ('r1', 1, ?, ?, 'waiting', '', '', '')", i, dataset)
	}
	e.exec("UPDATE runs SET state = 'warming'")
	pod := e.login("p1")
	e.as(pod, "UPDATE units SET state = 'running', claim = claim + 1, owner = 'one'")
	e.began = time.Now()
	for i, at := range []string{`["1"]`, `["2"]`} {
		e.as(pod, "UPDATE units SET key_cursor = ?, rows_done = ?, pages = ? WHERE unit = 0", at, i+1, i+1)
	}
	e.as(pod, `UPDATE units SET key_cursor = '["30"]', rows_done = 3, pages = 3, state = 'done' WHERE unit = 0`)
	e.as(pod, "UPDATE units SET rows_done = 1, pages = 1, state = 'done' WHERE unit > 0")
	e.as(pod, "UPDATE runs SET state = 'ready'")
	e.set("user:7:1", `{"id":1,"name":"a","version":0,"body":"user v0"}`)
	e.set("user:7:2", `{"id":2,"name":null,"version":0,"body":"user v0"}`)
	e.set("user:7:30", `{"id":30,"name":"c","version":5,"body":"user v5"}`)
	e.set("staff:7", `[{"id":1,"version":3,"body":"staff v3"}]`)
	e.hash("good:2026-01-02:9", "day", "2026-01-02", "seq", "9", "version", "0", "body", "good v0")
	e.hash("coupons:7", "1", `{"id":1,"version":0,"body":"coupon v0"}`)
}

func (e *evening) expires(key string, ends time.Time) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key))
	return ends.Add(30*time.Minute + time.Duration(h.Sum64()%600000)*time.Millisecond)
}

func (e *evening) set(key, value string) {
	e.t.Helper()
	require.NoError(e.t, e.cache.Do(e.t.Context(), "set", key, value, "pxat", e.expires(key, e.ends).UnixMilli()).Err())
}

func (e *evening) hash(key string, fields ...any) {
	e.t.Helper()
	require.NoError(e.t, e.cache.HSet(e.t.Context(), key, fields...).Err())
	require.NoError(e.t, e.cache.PExpireAt(e.t.Context(), key, e.expires(key, e.ends)).Err())
}

func (e *evening) check() *Result {
	e.t.Helper()
	res, err := Check(e.t.Context(), e.Config)
	require.NoError(e.t, err)
	return res
}

func TestAnEveningThatWentWellHasNoProblem(t *testing.T) {
	t.Parallel()
	e := newEvening(t)
	res := e.check()
	require.Empty(t, res.Problems)
	require.Equal(t, 6, res.Checked)
	require.Equal(t, map[string]int{"ready": 1}, res.States)
	require.EqualValues(t, 4, res.PerShop["7"])
}

// Each spoils the evening in one way, and the checker must say so, and say nothing else.
func TestTheCheckerFindsWhatIsPlanted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*evening)
		want  string
	}{
		"missing row":            {func(e *evening) { e.cache.Del(e.t.Context(), "user:7:2") }, Missing},
		"missing hash":           {func(e *evening) { e.cache.Del(e.t.Context(), "good:2026-01-02:9") }, Missing},
		"missing in an array":    {func(e *evening) { e.set("staff:7", "[]") }, Missing},
		"missing field":          {func(e *evening) { e.hash("coupons:7", "2", "{}"); e.cache.HDel(e.t.Context(), "coupons:7", "1") }, Missing},
		"another row's value":    {func(e *evening) { e.set("user:7:1", `{"id":2,"name":"a","version":0,"body":"user v0"}`) }, Wrong},
		"a mixture of versions":  {func(e *evening) { e.set("user:7:30", `{"id":30,"name":"c","version":5,"body":"user v4"}`) }, Wrong},
		"text for a number":      {func(e *evening) { e.set("user:7:1", `{"id":"1","name":"a","version":0,"body":"user v0"}`) }, Wrong},
		"a column too few":       {func(e *evening) { e.set("user:7:1", `{"id":1,"version":0,"body":"user v0"}`) }, Wrong},
		"no document":            {func(e *evening) { e.set("user:7:1", `oops`) }, Wrong},
		"a wrong field":          {func(e *evening) { e.hash("good:2026-01-02:9", "seq", "8") }, Wrong},
		"a NULL that is a field": {func(e *evening) { e.hash("good:2026-01-02:9", "note", "") }, Wrong},
		"an old row": {func(e *evening) {
			e.History.Edited("users/30", 5, e.began.Add(-time.Minute))
			e.set("user:7:30", `{"id":30,"name":"c","version":4,"body":"user v4"}`)
		}, Old},
		"an old row in an array": {func(e *evening) { e.History.Edited("staff/1", 4, e.began.Add(-time.Minute)) }, Old},
		"expires too early":      {func(e *evening) { e.cache.PExpireAt(e.t.Context(), "user:7:1", e.ends.Add(29*time.Minute)) }, Expiry},
		"expires too late":       {func(e *evening) { e.cache.PExpireAt(e.t.Context(), "user:7:1", e.ends.Add(41*time.Minute)) }, Expiry},
		"never expires":          {func(e *evening) { e.cache.Persist(e.t.Context(), "staff:7") }, Expiry},
		"the expiry of a shorter broadcast": {func(e *evening) {
			e.exec("UPDATE runs SET ends_us = ends_us + 3600000000")
		}, Expiry},
		"a second owner moves the cursor": {func(e *evening) {
			e.reopen()
			e.as(e.login("p2"), `UPDATE units SET rows_done = 4, pages = 4, key_cursor = '["31"]' WHERE unit = 0`)
			e.finish()
		}, Owners},
		"a second owner ends a unit": {func(e *evening) {
			e.reopen()
			e.as(e.login("p2"), `UPDATE units SET rows_done = 4, pages = 4, state = 'done' WHERE unit = 0`)
		}, Owners},
		"a claim of a running unit": {func(e *evening) {
			e.reopen()
			e.as(e.login("p1"), "UPDATE units SET claim = claim + 1, owner = 'two' WHERE unit = 0")
			e.finish()
		}, Owners},
		"a claim in another's name": {func(e *evening) {
			e.exec("UPDATE units SET state = 'waiting', claim = claim + 1 WHERE unit = 0")
			e.as(e.login("p2"), "UPDATE units SET state = 'running', claim = claim + 1, owner = 'one' WHERE unit = 0")
			e.as(e.login("p2"), "UPDATE units SET state = 'done' WHERE unit = 0")
		}, Owners},
		"a claim without a new number": {func(e *evening) {
			e.exec("UPDATE units SET state = 'waiting' WHERE unit = 0")
			e.as(e.login("p1"), "UPDATE units SET state = 'running' WHERE unit = 0")
			e.finish()
		}, Claims},
		"the fence goes back":       {func(e *evening) { e.exec("UPDATE units SET claim = 0 WHERE unit = 1") }, Claims},
		"work on a unit that ended": {func(e *evening) { e.as(e.login("p1"), "UPDATE units SET rows_done = 9 WHERE unit = 0") }, Owners},
		"the cursor goes back": {func(e *evening) {
			e.reopen()
			e.as(e.login("p1"), `UPDATE units SET key_cursor = '["4"]', pages = 4 WHERE unit = 0`)
			e.finish()
		}, Back},
		"the count goes back": {func(e *evening) {
			e.reopen()
			e.as(e.login("p1"), `UPDATE units SET rows_done = 2, pages = 4 WHERE unit = 0`)
			e.finish()
		}, Back},
		"the epoch goes back": {func(e *evening) { e.exec("UPDATE runs SET epoch = 0"); e.exec("UPDATE runs SET epoch = 1") }, Backwards},
		"ready before the last unit": {func(e *evening) {
			e.exec("UPDATE runs SET state = 'warming'")
			e.reopen()
			e.exec("UPDATE runs SET state = 'ready'")
			e.finish()
		}, NotReady},
		"a run that is still warming":  {func(e *evening) { e.exec("UPDATE runs SET state = 'warming'") }, Forgotten},
		"a run that is still planned":  {func(e *evening) { e.exec("UPDATE runs SET state = 'planned'") }, Forgotten},
		"a unit that is still open":    {func(e *evening) { e.exec("UPDATE units SET state = 'waiting', claim = claim + 1 WHERE unit = 1") }, Forgotten},
		"an expiry still to be moved":  {func(e *evening) { e.exec("UPDATE units SET touch = 1 WHERE unit = 1") }, Forgotten},
		"a run that is not there":      {func(e *evening) { e.Announced[0].RunID = "r2" }, Forgotten},
		"a broadcast still called off": {func(e *evening) { e.Announced[0].Cancelled = true }, Uncalled},
		"failed without a word":        {func(e *evening) { e.exec("UPDATE runs SET state = 'failed'") }, NoReason},
		"skipped without a word":       {func(e *evening) { e.exec("UPDATE runs SET state = 'skipped'") }, NoReason},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEvening(t)
			c.spoil(e)
			res := e.check()
			require.Equal(t, []string{c.want}, res.Kinds(), "%v", res.Problems)
		})
	}
}

// reopen has pod p1 claim a unit that was done, and finish end it.
func (e *evening) reopen() {
	e.t.Helper()
	e.exec("UPDATE units SET state = 'waiting', claim = claim + 1 WHERE unit = 0")
	e.as(e.login("p1"), "UPDATE units SET state = 'running', claim = claim + 1, owner = 'one' WHERE unit = 0")
}

func (e *evening) finish() {
	e.t.Helper()
	e.as(e.login("p1"), "UPDATE units SET state = 'done' WHERE unit = 0")
}

func TestWhatIsAllowed(t *testing.T) {
	t.Parallel()
	for name, allow := range map[string]func(*evening){
		"a row that came or went": func(e *evening) { e.History.Loose("users/2"); e.cache.Del(e.t.Context(), "user:7:2") },
		"a row that changed after it was read": func(e *evening) {
			e.History.Edited("users/30", 9, time.Now())
			e.exec("UPDATE users SET version = 9, body = 'user v9' WHERE id = 30")
		},
		"a newer row": func(e *evening) { e.set("user:7:1", `{"id":1,"name":"a","version":12,"body":"user v12"}`) },
		"a take-over from the cursor": func(e *evening) {
			e.reopen()
			e.exec("UPDATE units SET state = 'waiting', claim = claim + 1 WHERE unit = 0")
			p2 := e.login("p2")
			e.as(p2, "UPDATE units SET state = 'running', claim = claim + 1, owner = 'two' WHERE unit = 0")
			e.as(p2, `UPDATE units SET key_cursor = '["31"]', pages = 4, state = 'done' WHERE unit = 0`)
		},
		"a reset with a new fence": func(e *evening) {
			e.exec("UPDATE runs SET state = 'warming'")
			e.exec("UPDATE units SET state = 'waiting', claim = claim + 1, key_cursor = '', rows_done = 0, pages = 0 WHERE unit = 0")
			p2 := e.login("p2")
			e.as(p2, "UPDATE units SET state = 'running', claim = claim + 1, owner = 'two' WHERE unit = 0")
			e.as(p2, `UPDATE units SET key_cursor = '["30"]', rows_done = 3, pages = 1, state = 'done' WHERE unit = 0`)
			e.exec("UPDATE runs SET state = 'ready'")
		},
		"the longer expiry of a broadcast that was called off": func(e *evening) {
			later := e.ends.Add(time.Hour)
			e.exec("INSERT INTO runs VALUES ('r2', '7', 'c', 'cancelled', 'called off', '', 1, ?)", later.UnixMicro())
			e.cache.PExpireAt(e.t.Context(), "user:7:1", e.expires("user:7:1", later))
		},
		"nothing in the cache that was flushed just before the end": func(e *evening) {
			e.cache.FlushDB(e.t.Context())
			e.Emptied = append(e.Emptied, e.ends.Add(-10*time.Second))
		},
		"nothing in the cache for a run that is not ready": func(e *evening) {
			e.exec("UPDATE runs SET state = 'failed', last_error = 'no'")
			e.cache.FlushDB(e.t.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEvening(t)
			allow(e)
			require.Empty(t, e.check().Problems)
		})
	}
}

func TestATakeoverIsTimedFromTheLastMoveOfTheOldOwner(t *testing.T) {
	t.Parallel()
	e := newEvening(t)
	e.reopen()
	e.exec("UPDATE units SET state = 'waiting', claim = claim + 1 WHERE unit = 0")
	e.as(e.login("p2"), "UPDATE units SET state = 'running', claim = claim + 1, owner = 'two' WHERE unit = 0")
	e.as(e.login("p2"), "UPDATE units SET state = 'done' WHERE unit = 0")
	res := e.check()
	require.Len(t, res.Takeover, 1)
	require.Positive(t, res.Takeover[0])
	require.Less(t, res.Takeover[0], 30*time.Second)
}

func TestCursorsAreOrderedByTheirColumns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{``, `["1"]`, -1}, {`["9"]`, `["10"]`, -1}, {`["10"]`, `["10"]`, 0},
		{`["2026-01-02","9"]`, `["2026-01-02","10"]`, -1}, {`["2026-01-10","1"]`, `["2026-01-02","10"]`, 1},
	} {
		require.Equal(t, c.want, sign(compareCursors(c.a, c.b)), "%s %s", c.a, c.b)
		require.Equal(t, -c.want, sign(compareCursors(c.b, c.a)), "%s %s", c.b, c.a)
	}
}

func sign(n int) int { return max(-1, min(1, n)) }

// The checker would share the product's mistakes if it shared its code.
func TestTheCheckerImportsNothingOfTheProduct(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		seen++
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range tree.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			first, _, _ := strings.Cut(path, "/")
			require.True(t, !strings.Contains(first, ".") || path == "github.com/redis/go-redis/v9", "%s imports %s", name, path)
		}
	}
	require.Greater(t, seen, 3)
}
