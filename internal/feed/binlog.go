package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/binlog"
	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
)

const (
	binlogGather = 50 * time.Millisecond // changes are taken in together that come in this time
	binlogMark   = time.Second           // how often the position is kept while nothing that matters changes
	binlogBatch  = 2000                  // changes that are taken in together, whatever their transactions
	binlogAgain  = 2 * time.Second       // how long a log waits that could not be read
	binlogLacks  = 30 * time.Second      // how long it waits for settings or rights that it lacks
	binlogFails  = 5                     // so many failures in a row are told
	binlogCheck  = 3 * time.Minute       // how often it is asked what the server lacks: alerts that still hold are raised again; and whether it still has what it told
	viaBinlog    = "binlog"              // what its changes are counted as
)

// Binlog reads the binlog of one source. Rows are noted with the position before the transaction that is being read, so that
// the log is read again from there if this pod dies, and not before a read of the source sees them.
type Binlog struct {
	Source   *source.Source
	ServerID uint32
	Datasets []*source.Bound // of this source
	Ledger   Ledger
	Changes  Taker
	Alerts   *alert.Dispatcher
	Lag      *Lag
	Log      *slog.Logger

	stream  *binlog.Stream
	tables  map[string]*known
	changes []change.Change // not taken in yet
	checked time.Time       // when it was last asked what the server lacks
	since   time.Time       // when the first of them, or of the transactions, came; zero: there are none
	at      string          // behind the last whole transaction
	when    time.Time       // it was committed
}

// known is a table that datasets are read from; without columns none is.
type known struct {
	columns []binlog.Column
	fits    *binlog.Table // that the columns were compared with
}

// errLacks: the server cannot be read as it is set up.
var errLacks = errors.New("the binlog cannot be read")

// Run reads until the context ends.
func (b *Binlog) Run(ctx context.Context) {
	defer b.Lag.off()
	for fails := 1; ctx.Err() == nil; fails++ {
		began := time.Now()
		b.Lag.broken()
		err := b.read(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > binlog.Silence {
			fails = 1
		}
		wait := binlogAgain
		if errors.Is(err, errLacks) {
			wait = binlogLacks
		} else if fails >= binlogFails {
			b.tell(ctx, err.Error(), "mend the cause; it is tried again every few seconds")
		}
		b.Log.WarnContext(ctx, "read the binlog; it is tried again", "source", b.Source.Name(), "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// tell raises the alert that the feed does not tell all changes.
func (b *Binlog) tell(ctx context.Context, what, remedy string) {
	b.Alerts.Raise(ctx, alert.Alert{
		Name: alert.FeedLacks, Severity: alert.Warning, About: b.feed(),
		Summary: fmt.Sprintf("the binlog of source %s does not tell all changes, and they are found by changed_at only: %s", b.Source.Name(), what), Remedy: remedy,
	})
}

// feed is what the ledger calls the log.
func (b *Binlog) feed() string {
	name := "binlog:" + b.Source.Name()
	return name[:min(len(name), 64)]
}

// read goes on where the log was left, until something fails.
func (b *Binlog) read(ctx context.Context) error {
	if err := b.check(ctx); err != nil {
		return err
	}
	if err := b.place(ctx); err != nil {
		return err
	}
	stream, err := b.Source.ReadBinlog(ctx, b.ServerID, b.at)
	if err != nil {
		return err
	}
	defer stream.Close()
	b.stream, b.tables, b.changes, b.since = stream, map[string]*known{}, nil, time.Time{}
	for {
		if err := b.next(ctx); err != nil {
			if errors.Is(err, binlog.ErrPurged) {
				return b.lost(ctx, err)
			}
			return err
		}
	}
}

// check asks whether the log tells what it must.
func (b *Binlog) check(ctx context.Context) error {
	b.checked = time.Now()
	bounded, cancel := context.WithTimeout(ctx, binlog.Silence)
	defer cancel()
	lacks, err := b.Source.BinlogLacks(bounded, b.Datasets)
	if err != nil {
		return err
	}
	for _, l := range lacks {
		b.tell(ctx, l.What, l.Remedy)
		if l.Stops {
			return fmt.Errorf("%w: %s; %s", errLacks, l.What, l.Remedy)
		}
		b.Log.WarnContext(ctx, "some changes are not told", "source", b.Source.Name(), "why", l.What, "remedy", l.Remedy)
	}
	return nil
}

// place finds where to begin: the first time with what happens from now on.
func (b *Binlog) place(ctx context.Context) error {
	f, err := b.Ledger.ReadFeed(ctx, b.feed())
	if errors.Is(err, ledger.ErrNotFound) {
		return b.present(ctx)
	}
	b.at, b.when = f.Position, f.EventAt
	return err
}

// present begins with what happens from now on.
func (b *Binlog) present(ctx context.Context) (err error) {
	bounded, cancel := context.WithTimeout(ctx, binlog.Silence)
	defer cancel()
	if b.at, err = b.Source.BinlogPosition(bounded); err != nil {
		return err
	}
	b.when = time.Time{}
	return b.Changes.Take(ctx, nil, viaBinlog, ledger.Feed{Name: b.feed(), Position: b.at})
}

// lost tells that changes were not read, and goes on with those from now on.
func (b *Binlog) lost(ctx context.Context, err error) error {
	b.Alerts.Raise(ctx, alert.Alert{
		Name: alert.FeedGap, Severity: alert.Critical, About: b.feed(),
		Summary: fmt.Sprintf("the binlog of source %s was read up to %.200s only, and what follows is gone: changes are lost", b.Source.Name(), b.at),
		Remedy:  "run `prewarm audit --repair` over the shops that are warm, and keep binlogs for longer (binlog_expire_logs_seconds)",
	})
	return errors.Join(err, b.present(ctx))
}

// next takes one event, or what has been gathered.
func (b *Binlog) next(ctx context.Context) error {
	if time.Since(b.checked) > binlogCheck {
		if err := b.check(ctx); err != nil {
			return err
		}
		// A server whose binlog was begun anew (RESET MASTER) may go on saying that there is nothing more, but it does not know any more what
		// it told. Whoever asks it anew is told that.
		if err := b.Source.AwaitVisible(ctx, b.stream); err != nil {
			return err
		}
	}
	wait := binlog.Silence
	if !b.since.IsZero() {
		wait = time.Until(b.due())
	}
	if wait <= 0 || len(b.changes) >= binlogBatch {
		return b.take(ctx)
	}
	e, err := b.stream.Next(wait)
	switch {
	case errors.Is(err, binlog.ErrQuiet) && b.since.IsZero():
		return fmt.Errorf("source %s: the server says nothing more", b.Source.Name())
	case errors.Is(err, binlog.ErrQuiet):
		return b.take(ctx)
	case err != nil:
		return err
	}
	if err := b.event(ctx, e); err != nil {
		return err
	}
	if b.since.IsZero() && (len(b.changes) > 0 || e.Kind == binlog.Commit || e.Ends) {
		b.since = time.Now()
	}
	return nil
}

// due is when what has been gathered is taken in.
func (b *Binlog) due() time.Time {
	if len(b.changes) > 0 {
		return b.since.Add(binlogGather)
	}
	return b.since.Add(binlogMark)
}

// take notes the rows and how far the log has been read.
func (b *Binlog) take(ctx context.Context) error {
	if len(b.changes) > 0 {
		if err := b.Source.AwaitVisible(ctx, b.stream); err != nil {
			return err
		}
	}
	f := ledger.Feed{Name: b.feed(), Position: b.at, Rows: int64(len(b.changes)), EventAt: b.when}
	if err := b.Changes.Take(ctx, b.changes, viaBinlog, f); err != nil {
		return err
	}
	b.Lag.read(b.when)
	b.changes, b.since = b.changes[:0], time.Time{}
	return nil
}

func (b *Binlog) event(ctx context.Context, e binlog.Event) (err error) {
	switch e.Kind {
	case binlog.Rows:
		err = b.rows(ctx, e)
	case binlog.Statement:
		b.statement(e)
	case binlog.Opaque:
		b.doubt(e.At, b.Datasets...)
	case binlog.Idle:
		b.Lag.read(time.Time{})
	case binlog.Commit, binlog.Other:
	}
	if e.Kind == binlog.Commit || e.Ends {
		b.at, b.when = b.stream.Position.String(), e.At
	}
	return err
}

// reading are the datasets that are read from a table.
func (b *Binlog) reading(schema, table string) (some []*source.Bound) {
	for _, d := range b.Datasets {
		if d.ReadsTable(schema, table) {
			some = append(some, d)
		}
	}
	return some
}

// doubt has datasets read again whole: rows of them may have changed, and it is not known which.
func (b *Binlog) doubt(at time.Time, datasets ...*source.Bound) {
	for _, d := range datasets {
		b.changes = append(b.changes, change.Change{Dataset: d.Spec().Name, Op: change.Refresh, At: at})
	}
}

// rows takes in an event of rows. If its columns are not those that the table has now, they are looked up once more.
func (b *Binlog) rows(ctx context.Context, e binlog.Event) error {
	name := e.Table.Schema + "." + e.Table.Name
	k, ok := b.tables[name]
	if ok && k.columns == nil {
		return nil
	}
	if !ok || k.fits != e.Table && !e.Table.Fits(k.columns) {
		var err error
		if k, err = b.look(ctx, e.Table); err != nil {
			return err
		}
		b.tables[name] = k
		if k.columns == nil {
			return nil
		}
	}
	had := len(b.changes)
	err := binlog.ErrColumns
	if e.Table.Fits(k.columns) {
		k.fits = e.Table
		err = e.Changes(k.columns, func(c change.Change) { b.changes = append(b.changes, c) })
	}
	if err != nil {
		b.changes = b.changes[:had]
		b.Log.WarnContext(ctx, "a table's changes cannot be read; its datasets are read again whole", "table", name, "error", err)
		b.doubt(e.At, b.reading(e.Table.Schema, e.Table.Name)...)
	}
	return nil
}

// look reads what the columns of a table are now.
func (b *Binlog) look(ctx context.Context, t *binlog.Table) (*known, error) {
	readers := b.reading(t.Schema, t.Name)
	if len(readers) == 0 {
		return &known{}, nil
	}
	bounded, cancel := context.WithTimeout(ctx, binlog.Silence)
	defer cancel()
	columns, err := b.Source.BinlogColumns(bounded, t.Schema, t.Name)
	if err != nil {
		return nil, err
	}
	for i := range columns {
		for _, d := range readers {
			for _, wanted := range d.Tells(t.Schema, t.Name) {
				columns[i].Wanted = columns[i].Wanted || strings.EqualFold(wanted, columns[i].Name)
			}
		}
	}
	if columns == nil {
		columns = []binlog.Column{} // the table is gone
	}
	return &known{columns: columns}, nil
}

// statement takes in what was executed and not written as rows.
func (b *Binlog) statement(e binlog.Event) {
	clear(b.tables)
	for _, d := range b.Datasets {
		if touches(e.Text, d.Tables()) {
			b.doubt(e.At, d)
		}
	}
}

// harmless are statements that name tables and leave their rows as they are.
var harmless = []string{"analyze", "optimize", "grant", "revoke", "flush"}

// touches is pure: whether a statement may have changed rows of one of these tables. It is a change of a table's definition,
// TRUNCATE, or of a session that does not write rows; whatever names a table may have changed all of it.
func touches(statement string, tables []string) bool {
	words := strings.FieldsFunc(strings.ToLower(statement), func(r rune) bool {
		return r != '_' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
	if len(words) == 0 || slices.Contains(harmless, words[0]) {
		return false
	}
	return slices.ContainsFunc(tables, func(table string) bool { return slices.Contains(words, strings.ToLower(table)) })
}
