//go:build !race

package model

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// realNow is how the ledger asks SQLite for the time; here it gets the bubble's.
const realNow = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"

var registerClock = sync.OnceValue(func() error {
	return sqlite.RegisterScalarFunction("model_now", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return time.Now().UnixMicro(), nil
	})
})

// database is a real SQLite database in memory under the ledger's real schema. It outlives its worlds, which are one at a
// time, and all their connections are its one: a transaction is one step.
type database struct {
	conn    sqliteConn
	stmts   map[string]driver.Stmt
	tables  []string
	columns map[string][]string

	w       *world
	changes []change // of the statement or transaction under way
	err     error    // of reading them
}

type sqliteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ExecerContext
	sqlite.HookRegisterer
}

// change is a row as it has become.
type change struct {
	table string
	row   []any
}

// newDatabase has the ledger make its schema.
func newDatabase(ctx context.Context) (*database, error) {
	if err := registerClock(); err != nil {
		return nil, err
	}
	pool, err := sql.Open("sqlite", "file::memory:")
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	pool.SetConnMaxLifetime(0)
	if err := ledger.New(pool, ledger.SQLite).Migrate(ctx); err != nil {
		return nil, err
	}
	d := &database{stmts: map[string]driver.Stmt{}, columns: map[string][]string{}}
	held, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	err = held.Raw(func(c any) error {
		d.conn = c.(sqliteConn)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := d.describe(); err != nil {
		return nil, err
	}
	d.conn.RegisterPreUpdateHook(d.changed)
	return d, nil
}

func (d *database) describe() error {
	rows, err := d.query(`SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.cid`, nil)
	if err != nil {
		return err
	}
	for _, r := range rows.rows {
		table := r[0].(string)
		if strings.HasPrefix(table, "sqlite_") || strings.HasPrefix(table, "goose") {
			continue
		}
		if d.columns[table] == nil {
			d.tables = append(d.tables, table)
		}
		d.columns[table] = append(d.columns[table], r[1].(string))
	}
	return nil
}

// begin empties the database for a world.
func (d *database) begin(w *world) error {
	d.w = nil
	for _, t := range d.tables {
		if _, err := d.exec("DELETE FROM "+t, nil); err != nil {
			return err
		}
	}
	d.w, d.changes, d.err = w, nil, nil
	return nil
}

// changed collects the rows that a statement changes.
func (d *database) changed(u sqlite.SQLitePreUpdateData) {
	if d.w == nil || u.TableName != "units" && u.TableName != "runs" {
		return
	}
	c := change{table: u.TableName}
	n := len(d.columns[u.TableName])
	if u.Op == 9 { // SQLITE_DELETE, which nobody does
		d.err = errors.New("a row of " + u.TableName + " was deleted")
		return
	}
	c.row = make([]any, n)
	d.err = errors.Join(d.err, u.New(c.row...))
	d.changes = append(d.changes, c)
}

// commit hands the changes to the ghost.
func (d *database) commit(a *actor) {
	changes := d.changes
	d.changes = nil
	if d.err != nil {
		panic(d.err)
	}
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.w.ghost.committed(a, d.columns, changes)
}

// limited is how the ledger's lists end. SQLite plans a statement anew whenever such an argument is bound.
const limited = "LIMIT ?"

func (d *database) stmt(query string, args []driver.NamedValue) (driver.Stmt, []driver.NamedValue, error) {
	if rest, ok := strings.CutSuffix(query, limited); ok {
		last := len(args) - 1
		query, args = fmt.Sprintf("%sLIMIT %d", rest, args[last].Value), args[:last]
	}
	if s, ok := d.stmts[query]; ok {
		return s, args, nil
	}
	text := strings.ReplaceAll(query, realNow, "model_now()")
	s, err := d.conn.PrepareContext(context.Background(), text)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s", err, text)
	}
	if len(d.stmts) < 1000 { // those with lists of changing lengths would fill it
		d.stmts[query] = s
	}
	return s, args, nil
}

func (d *database) exec(query string, args []driver.NamedValue) (driver.Result, error) {
	s, args, err := d.stmt(query, args)
	if err != nil {
		return nil, err
	}
	return s.(driver.StmtExecContext).ExecContext(context.Background(), args)
}

// query reads all rows at once: nothing stays open between two steps.
func (d *database) query(query string, args []driver.NamedValue) (*answer, error) {
	s, args, err := d.stmt(query, args)
	if err != nil {
		return nil, err
	}
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), args)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	a := &answer{columns: rows.Columns()}
	for {
		row := make([]driver.Value, len(a.columns))
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return a, nil
		case err != nil:
			return nil, err
		}
		a.rows = append(a.rows, row)
	}
}

type answer struct {
	columns []string
	rows    [][]driver.Value
}

func (a *answer) Columns() []string { return a.columns }
func (a *answer) Close() error      { return nil }
func (a *answer) Next(dest []driver.Value) error {
	if len(a.rows) == 0 {
		return io.EOF
	}
	copy(dest, a.rows[0])
	a.rows = a.rows[1:]
	return nil
}

// connector makes the connections of one world.
type connector struct{ w *world }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	return &session{w: c.w, db: c.w.db}, nil
}
func (c connector) Driver() driver.Driver { panic("not asked for") }

// session is one connection of a pod. A statement outside a transaction is a step, and so is a whole transaction.
type session struct {
	w    *world
	db   *database
	in   *actor // of the transaction, if there is one
	lost bool   // its commit's reply will be
}

func (s *session) Prepare(string) (driver.Stmt, error) { panic("not asked for") }
func (s *session) Close() error                        { return nil }
func (s *session) Begin() (driver.Tx, error)           { panic("not asked for") }

func (s *session) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	err := s.w.gate(ctx, toLedger, "", nil)
	s.lost = errors.Is(err, errLost)
	if err != nil && !s.lost {
		return nil, err
	}
	if _, err := s.db.exec("BEGIN", nil); err != nil {
		return nil, err
	}
	s.in = actorOf(ctx)
	return s, nil
}

func (s *session) Commit() error {
	a := s.in
	s.in = nil
	if _, err := s.db.exec("COMMIT", nil); err != nil {
		return err
	}
	s.db.commit(a)
	if s.lost {
		return s.w.reset()
	}
	return nil
}

func (s *session) Rollback() error {
	s.in, s.db.changes = nil, nil
	_, err := s.db.exec("ROLLBACK", nil)
	return err
}

func (s *session) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	query = s.w.mut.statement(query)
	if s.in != nil {
		return s.db.exec(query, args)
	}
	var res driver.Result
	var sqlErr error
	err := s.w.gate(ctx, toLedger, "", func() {
		s.w.mu.Unlock() // the scheduler has it; commit takes it
		defer s.w.mu.Lock()
		if res, sqlErr = s.db.exec(query, args); sqlErr == nil {
			s.db.commit(actorOf(ctx))
		}
	})
	if err != nil {
		return nil, err
	}
	return res, sqlErr
}

func (s *session) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	query = s.w.mut.statement(query)
	if s.in == nil {
		if err := s.w.gate(ctx, toLedger, "", nil); err != nil {
			if errors.Is(err, errLost) {
				err = s.w.reset()
			}
			return nil, err
		}
	}
	return s.db.query(query, args)
}
