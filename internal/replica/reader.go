package replica

import (
	"context"
	"database/sql"
	"time"

	"github.com/prewarm-go/prewarm/internal/source"
)

// renewAfter is how old a position may be when a page is read. The older it is, the more of the rows that changed since are
// read once more from the primary.
const renewAfter = 2 * time.Second

// Reader says for the pages of one unit where each is read. It is for one goroutine.
type Reader struct {
	set     *Set
	dataset string

	m       *member // nil: the primary is read
	session *sql.Conn
	at      *source.Bound
	taken   time.Time // of the position that the session has reached
	since   int64     // what the caller knew then
}

// Begin is for one unit; nil: its dataset is not read at replicas. Close it.
func (s *Set) Begin(dataset string) *Reader {
	if b := s.cfg.Datasets[dataset]; b == nil || !b.Spec().Paged() {
		return nil
	}
	return &Reader{set: s, dataset: dataset}
}

// Next is where the next page is read; nil: at the primary. known is the number of the last change that the caller knows of,
// and since the one that it knew of when it was last made sure that the replica has what the primary has: of later changes
// the page may lack what they have brought.
func (r *Reader) Next(ctx context.Context, known int64) (at *source.Bound, replica string, since int64) {
	if r.m == nil || time.Since(r.taken) > renewAfter || r.m.isOut() != "" {
		r.renew(ctx, known)
	}
	if r.m == nil {
		r.set.cfg.Metrics.page(r.set.cfg.Name, onPrimary)
		return nil, "", known
	}
	r.set.cfg.Metrics.page(r.set.cfg.Name, r.m.name)
	return r.at, r.m.name, r.since
}

// renew takes the primary's position, and a replica that has it: the one that is read already, or the next.
func (r *Reader) renew(ctx context.Context, known int64) {
	candidates := r.set.next()
	if len(candidates) == 0 {
		r.Close()
		return
	}
	taken := time.Now()
	position, err := r.set.cfg.Primary.BinlogPosition(ctx)
	if err != nil {
		r.Close() // the page that is now read at the primary says what is wrong
		return
	}
	if r.m != nil && r.m.isOut() == "" && r.reaches(ctx, position) {
		r.taken, r.since = taken, known
		return
	}
	r.Close()
	for _, m := range candidates {
		if m.isOut() == "" && r.join(ctx, m) && r.reaches(ctx, position) {
			r.taken, r.since = taken, known
			return
		}
		r.Close()
	}
}

// join gets a session of a replica.
func (r *Reader) join(ctx context.Context, m *member) bool {
	m.mu.Lock()
	src, at := m.src, m.bound[r.dataset]
	m.mu.Unlock()
	if src == nil || at == nil {
		return false
	}
	within, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	session, err := src.DB().Conn(within)
	if err != nil {
		if within.Err() == nil { // otherwise all connections may be taken: whether it is away, a look will tell
			m.put(ctx, reasonAway, err)
		}
		return false
	}
	r.m, r.session, r.at = m, session, at.On(session)
	return true
}

// reaches waits until the session has a position, and takes a replica out that does not get there.
func (r *Reader) reaches(ctx context.Context, position string) bool {
	within, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	out, err := r.m.reached(within, r.at.Source(), r.session, position)
	if err != nil && ctx.Err() == nil {
		r.m.put(ctx, out, err)
	}
	return err == nil
}

// Failed is told that a page could not be read at the replica.
func (r *Reader) Failed(ctx context.Context, err error) {
	if r.m != nil {
		r.m.put(ctx, reasonAway, err)
	}
	r.Close()
	r.set.cfg.Metrics.page(r.set.cfg.Name, onPrimary) // where it is read now
}

// Close gives the session back.
func (r *Reader) Close() {
	if r.session != nil {
		_ = r.session.Close() // a statement that broke off has closed it
	}
	r.m, r.session, r.at = nil, nil, nil
}
