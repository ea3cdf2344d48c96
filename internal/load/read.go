package load

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
)

// inMemory is how many reads are in memory: one that is encoded, one that is being read meanwhile, and one that waits, so that the source is asked
// on while a page is sent.
const inMemory = 3

// spareReads are those of units that are over.
var spareReads = sync.Pool{New: func() any { return &read{text: make([]byte, 0, 16<<10)} }}

// read is what one statement gave, as it came: while it is encoded the source is at work on the next one. It is reused.
type read struct {
	text []byte // the values, one behind the other; never nil
	ends []int  // of each value in text, or the complement of where a NULL is
	next int    // row that is to be encoded

	source.Page
	err      error
	asked    int    // rows, at most
	after    string // cursor that it was read from
	seen     int64  // task.seen before
	replica  string // where; "": at the source
	measured bool
	began    time.Time
	ended    time.Time
	encoding time.Duration // so far
	bytes    int           // of keys and values, so far
}

func (d *read) reset() {
	*d = read{text: d.text[:0], ends: d.ends[:0]}
}

// keep copies a row.
func (d *read) keep(row []sql.RawBytes) {
	for _, v := range row {
		d.text = append(d.text, v...)
		if end := len(d.text); v != nil {
			d.ends = append(d.ends, end)
		} else {
			d.ends = append(d.ends, ^end)
		}
	}
}

// row is the next one that is to be encoded, in place of what was in row. It is valid until the read is reset.
func (d *read) row(row []sql.RawBytes) []sql.RawBytes {
	width := len(d.ends) / d.Rows
	first := d.next * width
	from := 0
	if first > 0 {
		if from = d.ends[first-1]; from < 0 {
			from = ^from
		}
	}
	row = row[:0]
	for _, end := range d.ends[first : first+width] {
		if end < 0 {
			row = append(row, nil)
			continue
		}
		row = append(row, d.text[from:end:end])
		from = end
	}
	d.next++
	return row
}

// reading is how far the reading of a unit has come.
type reading struct {
	*task
	cursor, to string
	limit      int       // rows that may be asked for at most
	elsewhere  Elsewhere // nil: all is read at the source
}

// read reads ahead until the unit's end, an error, or the flow's end.
func (t *task) read(ctx context.Context, u ledger.Unit, free <-chan *read, reads chan<- *read) {
	r := reading{task: t, cursor: cmp.Or(u.Cursor, u.From), to: u.To, limit: math.MaxInt}
	if t.Begin != nil {
		if r.elsewhere = t.Begin(u.Dataset); r.elsewhere != nil {
			defer r.elsewhere.Close()
		}
	}
	for {
		var d *read
		select {
		case <-ctx.Done():
			return
		case d = <-free:
		}
		r.into(ctx, d)
		select {
		case <-ctx.Done():
			return
		case reads <- d:
		}
		if d.err != nil || d.Done {
			return
		}
	}
}

// into reads what comes next. What a replica did not give is read at the source.
func (r *reading) into(ctx context.Context, d *read) {
	d.reset()
	at := r.choose(ctx, d)
	r.from(ctx, d, at)
	if d.replica != "" && d.err != nil && ctx.Err() == nil && !errors.Is(d.err, ErrHandBack) {
		r.elsewhere.Failed(ctx, d.err)
		d.reset()
		d.seen = r.seen.Load()
		r.from(ctx, d, r.Dataset)
	}
	if d.Last != "" {
		r.cursor = d.Last
	}
}

// from reads, and sees how many rows the next read may ask for at most: rows are counted out by the server, so a read that was ended
// by its bytes has wasted the rest, and the next asks for what fits.
func (r *reading) from(ctx context.Context, d *read, at Pages) {
	l := r.limits(r.Dataset.Spec().Name, d.replica)
	d.asked, d.after, d.began = min(r.limit, l.PageRows), r.cursor, time.Now()
	d.Page, d.measured, d.err = r.readRange(ctx, at, d, func(row []sql.RawBytes) (bool, error) {
		d.keep(row)
		return len(d.text) < l.PageBytes, nil
	})
	d.ended = time.Now()
	r.limit = fitting(d.Rows, len(d.text), r.Limits.PageBytes)
}

// fitting is pure: how many rows of the size just seen fit into a page.
func fitting(rows, bytes, most int) int {
	if rows == 0 || bytes == 0 {
		return math.MaxInt
	}
	return max(1, int(int64(rows)*int64(most)/int64(bytes)))
}
