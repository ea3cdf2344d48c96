package mysqlconn

import (
	"database/sql"
	"time"
)

// Timed has a connection note when the system received what came, by the kernel's clock: how long the answer to a statement took is
// then known without the time that this process waited for a processor before it looked. The answer says how long it took from the last
// statement to the newest bytes; ok is false where that is not known: on other systems than Linux, on sockets that are files, and on
// connections that no Counting connector over Buffered has made. A connection that is timed once stays so.
func Timed(conn *sql.Conn) (answered func() (took time.Duration, ok bool)) {
	var b *buffered
	_ = conn.Raw(func(driver any) error {
		if c, ok := driver.(*counting); ok && c.conn != nil && c.conn.timed() {
			b = c.conn
		}
		return nil
	})
	return func() (time.Duration, bool) {
		if b == nil || b.arrived.IsZero() {
			return 0, false
		}
		took := b.arrived.Sub(b.sent)
		return took, took > 0
	}
}

// timed has the connection note what Timed wants, if it can.
func (b *buffered) timed() bool {
	if b.stamps == nil {
		b.stamps = newStamps(b.Conn)
	}
	return b.stamps != nil
}
