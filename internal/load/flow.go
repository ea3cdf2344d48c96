package load

import (
	"cmp"
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

const (
	// window is the most pages that are under way to the cache or are not recorded yet, and so the most that are written
	// again after a crash. One would leave the cache idle while a page is recorded and the next is sent; with two it has
	// always one page before it as long as the way to the ledger and back takes no longer than it needs for a page.
	window = 2
	// patience is how long answers to a page are left unread while the next one is not sent. They come in many small pieces while
	// the cache works on the page, and to wake up for each took a tenth of the processor time of a single slot.
	patience = 20 * time.Millisecond
	// buffers are the pages of a unit in memory: those under way, and one that is being filled.
	buffers = window + 1
)

// spare are pages of units that are over. A unit is a few pages long: pages that grew anew for each took a tenth of the processor time for the
// garbage collector alone.
var spare sync.Pool

// flow is a unit that is loaded page by page: rows are read while others are encoded and sent, a page is answered and another is
// recorded.
type flow struct {
	*task
	stream stream
	spare  chan *read // to be read into
	reads  chan *read // to be encoded
	now    *read      // that is being encoded; nil: none
	row    []sql.RawBytes
	cursor string        // behind the last page that was filled
	free   chan *page    // to be filled
	sent   chan *page    // to be answered
	room   chan struct{} // holds a token for each page that was sent and is not recorded
	news   chan struct{} // there is something to record
	halt   context.CancelFunc
	last   ledger.Unit // as it was recorded

	mu   sync.Mutex
	done progress // answered and not recorded
	err  error    // the first that ended the flow
}

// progress is what the ledger is to be told.
type progress struct {
	unit     ledger.Unit
	rejected []ledger.Reject
	pages    int
	rows     int
	done     bool
	traces   []*pageTrace // of the pages, if they are traced
}

// stream takes pages in their order.
type stream interface {
	Send(ctx context.Context, b *cache.Batch, e cache.Expiry)
	Wait() error // for the one that was sent first
	Close()
}

// loadPages goes from the unit's cursor to its end. After an error the pages that were written up to there are still
// recorded, as long as the context lets it.
func (t *task) loadPages(ctx context.Context) (ledger.Settled, error) {
	f := &flow{task: t, spare: make(chan *read, inMemory), reads: make(chan *read, inMemory-2), free: make(chan *page, buffers), sent: make(chan *page, window),
		room: make(chan struct{}, window), news: make(chan struct{}, 1), stream: t.begin(ctx)}
	defer f.stream.Close()
	f.last, f.cursor = t.Unit, cmp.Or(t.Unit.Cursor, t.Unit.From)
	for range buffers {
		p, ok := spare.Get().(*page)
		if !ok {
			p = &page{}
		}
		f.free <- p
	}
	for range inMemory {
		f.spare <- spareReads.Get().(*read) //nolint:forcetypeassert,errcheck // nothing else is in it
	}
	flowing, halt := context.WithCancel(ctx)
	f.halt = halt
	defer halt()
	var reader, answers sync.WaitGroup
	unit := t.Unit
	reader.Go(func() { t.read(flowing, unit, f.spare, f.reads) })
	answers.Go(func() { f.answers(ctx) })
	var settled ledger.Settled
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		settled = f.records(ctx)
	}()
	if err := f.send(ctx, flowing); err != nil {
		f.fail(err)
	}
	close(f.sent)
	answers.Wait()
	close(f.news)
	<-recorded
	halt()
	reader.Wait()
	f.keep()
	t.Unit = f.last
	t.lap(&t.spent.Write)
	return settled, f.err
}

// keep leaves what is in memory to the next unit. After an error somebody may still write from one.
func (f *flow) keep() {
	for f.err == nil && len(f.free) > 0 {
		p := <-f.free
		p.reset()
		spare.Put(p)
	}
	for f.err == nil && len(f.spare) > 0 {
		spareReads.Put(<-f.spare)
	}
}

// begin begins a stream, of a kind that sends one page at a time if the cache has no other.
func (t *task) begin(ctx context.Context) stream {
	if s, ok := t.Cache.(Streamer); ok {
		return s.Stream(ctx)
	}
	return &oneByOne{cache: t.Cache, queue: make(chan one, window)}
}

// fail ends the flow; what was written is still recorded.
func (f *flow) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	f.halt()
}

// send sends pages until the last one, an error, or the flow's end.
func (f *flow) send(ctx, flowing context.Context) error {
	unit := f.Unit
	for {
		var p *page
		select {
		case <-flowing.Done():
			return context.Cause(ctx)
		case p = <-f.free:
		}
		f.lap(&f.spent.Write)
		err := f.fill(flowing, p)
		f.lap(&f.spent.Read)
		f.spent.DB += p.took
		if err == nil {
			select {
			case <-flowing.Done():
				err = flowing.Err()
			case f.room <- struct{}{}:
			}
			f.lap(&f.spent.Write)
		}
		if err == nil {
			err = f.proceed(flowing)
		}
		if err == nil {
			unit, err = f.stamp(unit, p)
		}
		if err != nil {
			p.trace.end(err)
			if flowing.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
		p.unit = unit
		if f.dispatch(ctx, p) {
			return nil
		}
	}
}

// fill makes a page of what has been read: of several reads if each is so small that a page holds them, as what the database feels is the time of
// one read, and what writing and recording cost is paid by the page; of a part of one if its bytes are more than a page's.
func (f *flow) fill(flowing context.Context, p *page) error {
	p.reset()
	p.trace, p.after = tracePage(flowing), f.cursor
	for more := true; more; {
		if f.now == nil {
			select {
			case <-flowing.Done():
				return flowing.Err()
			case f.now = <-f.reads:
			}
		}
		if f.now.err != nil {
			return f.now.err
		}
		if err := f.encode(p, f.now); err != nil {
			return err
		}
		if more = f.takes(p, f.now); f.now.next == f.now.Rows {
			f.spare <- f.now
			f.now = nil
		}
	}
	f.cursor = cmp.Or(p.last, f.cursor)
	f.Metrics.took(f.Dataset.Spec().Name, legRead, p.took+p.encoding)
	p.trace.read(p)
	return nil
}

// encode adds to a page what it holds of a read's rows.
func (f *flow) encode(p *page, d *read) error {
	if p.readAt.IsZero() {
		p.began, p.readAt, p.seen = d.began, d.ended, d.seen
	}
	p.seen = min(p.seen, d.seen)
	enc, spec, most := f.Dataset.Encoder(), f.Dataset.Spec(), f.share(f.Limits.PageBytes)
	began, before := time.Now(), p.batch.Bytes()
	for d.next < d.Rows && p.batch.Bytes() < most {
		f.row = d.row(f.row)
		p.read++
		if err := p.add(enc, spec.Value, f.Shop, f.row); err != nil {
			return err
		}
	}
	took := time.Since(began)
	p.encoding += took
	d.encoding += took
	d.bytes += p.batch.Bytes() - before
	if d.next < d.Rows {
		var err error
		p.last, err = f.Dataset.Cursor(f.row)
		return err
	}
	p.last, p.done = cmp.Or(d.Last, p.last), d.Done
	f.tell(p, d)
	return nil
}

// tell tells those who size reads of one that is encoded.
func (f *flow) tell(p *page, d *read) {
	took := d.ended.Sub(d.began)
	p.took += took
	if f.Sizes != nil && !d.measured {
		f.Sizes.Read(PageRead{Dataset: f.Dataset.Spec().Name, Replica: d.replica, Rows: d.Rows, Bytes: d.bytes,
			Time: min(cmp.Or(d.Took, took), took), Had: took + d.encoding})
	}
}

// takes says whether a page takes another read.
func (f *flow) takes(p *page, d *read) bool {
	bytes := p.batch.Bytes()
	return !p.done && d.next == d.Rows && f.Limits.Together.takes(p.read+d.asked/2, p.took, f.share) &&
		bytes+max(d.asked*(bytes/max(p.read, 1)), 1) <= f.share(f.Limits.PageBytes)
}

// dispatch sends a page, which is others' from then on, and says whether it was the last.
func (f *flow) dispatch(ctx context.Context, p *page) (last bool) {
	last = p.done
	p.sentAt = time.Now()
	p.ctx, p.cancel = context.WithTimeout(ctx, writeTime(p.batch.Bytes()))
	if p.batch.Len() > 0 {
		f.stream.Send(p.ctx, &p.batch, f.Expiry)
	}
	f.sent <- p
	return last
}

// answers takes the answers to what was sent. What is behind a page that was not written does not count, though it may be
// written: only pages before which nothing is missing are recorded.
func (f *flow) answers(ctx context.Context) {
	failed, late := false, time.NewTimer(patience)
	defer late.Stop()
	p, more := <-f.sent
	for more {
		var next *page
		late.Reset(patience)
		select {
		case next, more = <-f.sent:
		case <-late.C:
		}
		if !failed {
			if err := f.answer(ctx, p); err != nil {
				failed = true
				p.trace.end(err)
				f.fail(err)
			}
		}
		p.cancel()
		f.free <- p
		if p = next; p == nil && more {
			p, more = <-f.sent
		}
	}
}

func (f *flow) answer(ctx context.Context, p *page) error {
	if p.batch.Len() > 0 {
		if err := f.task.written(ctx, p.ctx, p, p.sentAt, f.stream.Wait()); err != nil {
			return err
		}
		if err := f.settleChanges(ctx, p); err != nil {
			return err
		}
		p.trace.leg(legWrite, p.sentAt)
	}
	f.mu.Lock()
	f.done.unit, f.done.done = p.unit, p.done
	f.done.rejected = append(f.done.rejected, p.rejected...)
	f.done.pages++
	f.done.rows += p.rows
	if p.trace != nil {
		f.done.traces = append(f.done.traces, p.trace)
	}
	f.mu.Unlock()
	select {
	case f.news <- struct{}{}:
	default:
	}
	return nil
}

// records moves the cursor behind what was written, several pages at once if there were, and ends with the flow.
func (f *flow) records(ctx context.Context) (settled ledger.Settled) {
	for range f.news {
		f.mu.Lock()
		now := f.done
		f.done = progress{}
		f.mu.Unlock()
		if now.pages == 0 {
			continue
		}
		began := time.Now()
		var err error
		settled, err = f.record(ctx, now.unit, now.rejected, now.done)
		for _, t := range now.traces {
			t.leg(legRecord, began)
			t.end(err)
		}
		if err != nil {
			f.fail(err)
			return ledger.StillOpen
		}
		f.Metrics.pages(now.unit, now.pages, now.rows, len(now.rejected))
		f.last = now.unit
		for range now.pages {
			<-f.room
		}
	}
	return settled
}

// oneByOne is a stream of a cache that has none: a page is written when it is waited for.
type oneByOne struct {
	cache Cache
	queue chan one
}

type one struct {
	ctx    context.Context
	batch  *cache.Batch
	expiry cache.Expiry
}

func (s *oneByOne) Send(ctx context.Context, b *cache.Batch, e cache.Expiry) {
	s.queue <- one{ctx, b, e}
}

func (s *oneByOne) Wait() error {
	o := <-s.queue
	return s.cache.Write(o.ctx, o.batch, o.expiry)
}

func (s *oneByOne) Close() {}
