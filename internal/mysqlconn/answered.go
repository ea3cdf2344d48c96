package mysqlconn

import (
	"time"

	"github.com/prewarm-go/prewarm/internal/stamp"
)

// Timed has a connection, as sql.Conn.Raw hands it out, note when the kernel received what came. took says how long the answer to the last
// statement since took, up to its newest bytes; 0: it is not known, as where package stamp cannot, and on connections that no Counting
// connector over Buffered has made. A connection that is timed once stays so.
func Timed(driver any) (took func() time.Duration) {
	var stamped *stamp.Conn
	if c, ok := driver.(*counting); ok && c.conn != nil {
		stamped = c.conn.stamped()
	}
	began := time.Now()
	return func() time.Duration { return stamped.Took(began) }
}

func (b *buffered) stamped() *stamp.Conn {
	if s, ok := b.Conn.(*stamp.Conn); ok {
		return s
	}
	s := stamp.New(b.Conn)
	if s != nil {
		b.Conn = s
	}
	return s
}
