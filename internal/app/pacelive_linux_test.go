package app_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	liveReaders = 24 // connections to the database
	liveGetters = 8  // connections to Redis
	// liveOfRedis is of how many reads one is of Redis.
	liveOfRedis = 5
)

// liveLoad sends point reads at a fixed rate, whether answers come or not. A read's time is from when the kernel sent it, or from when it was due
// if all connections were waiting for answers then, until the kernel received the answer: what piles up behind slow answers counts as slow too.
// What this thread waits for its processor, which it shares with pods and their servers, does not: users have machines of their own.
//
// One thread does it all, with a system call to write, one to wait and one to read: a client with a thread for each connection had
// nearly a whole processor for 2,000 reads a second in a virtual machine, and the pods beside it hardly any.
type liveLoad struct {
	t        *testing.T
	shops    int
	users    int
	database liveServer
	redis    liveServer
	rate     atomic.Int64 // reads a second of the database; Redis has fewer
	stop     atomic.Bool
	done     chan struct{}

	still *stillness

	mu     sync.Mutex
	felt   map[*liveServer][]liveRead
	failed int
}

// liveRead is one that was answered: when, and what it took.
type liveRead struct {
	at   time.Time
	took time.Duration
}

// liveServer is the connections to one server.
type liveServer struct {
	ask     func(shop, user int) []byte
	ended   func(answer []byte) (done, ok bool) // pure: whether an answer is complete, and as it should be
	conns   []*liveConn
	waiting []time.Time // reads that are due, by when they were
	short   bool        // the first of them found no connection
}

type liveConn struct {
	of     *liveServer
	fd     int
	busy   bool
	began  time.Time // the read
	waited bool      // for a connection
	answer []byte
}

func startLive(t *testing.T, dsn, redisAddr string, shops, users int, rate int64) *liveLoad {
	t.Helper()
	l := &liveLoad{t: t, shops: shops, users: users, done: make(chan struct{}), felt: map[*liveServer][]liveRead{}, still: watchStillness(t)}
	l.database = liveServer{ended: queryEnded, ask: func(shop, user int) []byte {
		return query(fmt.Sprintf("SELECT nickname, balance, note FROM live_users WHERE shop_id = %d AND user_id = %d", shop, user))
	}}
	l.redis = liveServer{ended: getEnded, ask: func(shop, user int) []byte {
		key := liveKey(shop, user)
		return fmt.Appendf(nil, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(key), key)
	}}
	for range liveReaders {
		l.add(&l.database, loggedIn(t, dsn))
	}
	for range liveGetters {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", redisAddr)
		require.NoError(t, err)
		l.add(&l.redis, conn)
	}
	l.rate.Store(rate)
	go l.run()
	return l
}

// loggedIn is a connection to MySQL on which the driver has logged in and does nothing more.
func loggedIn(t *testing.T, dsn string) (conn net.Conn) {
	t.Helper()
	cfg, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, addr)
		return conn, err
	}
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	driver, err := connector.Connect(t.Context()) // the connection is used without it from here on
	require.NoError(t, err)
	t.Cleanup(func() { _ = driver.Close() })
	return conn
}

func (l *liveLoad) add(to *liveServer, conn net.Conn) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(l.t, err)
	c := &liveConn{of: to}
	var dup error
	require.NoError(l.t, raw.Control(func(fd uintptr) { c.fd, dup = unix.Dup(int(fd)) }))
	require.NoError(l.t, dup)
	require.NoError(l.t, conn.Close()) // the copy stays; Go's own poller has no part in it any more
	const stamps = unix.SOF_TIMESTAMPING_SOFTWARE | unix.SOF_TIMESTAMPING_TX_SOFTWARE | unix.SOF_TIMESTAMPING_RX_SOFTWARE | unix.SOF_TIMESTAMPING_OPT_TSONLY
	require.NoError(l.t, unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPING, stamps))
	l.t.Cleanup(func() { _ = unix.Close(c.fd) })
	to.conns = append(to.conns, c)
}

// run sends reads at random moments: the gaps are those of many independent users.
func (l *liveLoad) run() {
	defer close(l.done)
	runtime.LockOSThread()
	goesFirst(l.t, 50)
	conns := append(slices.Clone(l.database.conns), l.redis.conns...)
	polled := make([]unix.PollFd, len(conns))
	for i, c := range conns {
		polled[i] = unix.PollFd{Fd: int32(c.fd), Events: unix.POLLIN} //nolint:gosec // a file descriptor
	}
	buf, control := make([]byte, 64<<10), make([]byte, 256)
	next := time.Now()
	for !l.stop.Load() {
		for ; !time.Now().Before(next); next = next.Add(l.gap()) {
			to := &l.database
			if rand.IntN(liveOfRedis) == 0 { //nolint:gosec // a load
				to = &l.redis
			}
			to.waiting = append(to.waiting, next)
		}
		l.send(&l.database)
		l.send(&l.redis)
		if poll(polled, max(time.Until(next), 0)) <= 0 {
			continue // interrupted, or something is due
		}
		for i, c := range conns {
			if polled[i].Revents&unix.POLLERR != 0 {
				c.left(control)
			}
			if polled[i].Revents&^unix.POLLERR != 0 {
				l.receive(c, buf, control)
			}
		}
	}
}

// goesFirst has this thread run before all others of its processor as soon as something is due. A live load that is late sends what has become due
// meanwhile at once, and these reads wait for each other: beside a processor that only counted, without any work of ours on the database, the p99 was
// 2.3 and 2.4 times what it had been right before.
func goesFirst(t *testing.T, priority uint32) {
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: priority}, 0); err != nil {
		t.Logf("the live load, and what watches the machine, may not run first (%v): what they are late by looks like harm", err)
	}
}

// poll waits until one of the connections has something, or the time is up, and says how many have. It is no system call in the eyes of Go's
// scheduler, which would give the thread's place to another one and have it wait for a place afterwards.
func poll(conns []unix.PollFd, wait time.Duration) int {
	until := unix.NsecToTimespec(wait.Nanoseconds())
	n, _, failed := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(conns))), uintptr(len(conns)), uintptr(unsafe.Pointer(&until)), 0, 0, 0)
	if failed != 0 { // interrupted
		return 0
	}
	return int(n) //nolint:gosec // a few
}

func (l *liveLoad) gap() time.Duration {
	all := float64(l.rate.Load()) * liveOfRedis / (liveOfRedis - 1)
	return time.Duration(rand.ExpFloat64() / all * float64(time.Second)) //nolint:gosec // a load
}

// send gives what is due to the connections that are free.
func (l *liveLoad) send(to *liveServer) {
	for _, c := range to.conns {
		if len(to.waiting) == 0 {
			to.short = false
			return
		}
		if c.busy {
			continue
		}
		c.began, c.waited, c.busy, c.answer = time.Now(), to.short, true, c.answer[:0]
		if to.short {
			c.began = to.waiting[0]
		}
		to.waiting = to.waiting[1:]
		if _, err := syscall.Write(c.fd, to.ask(rand.IntN(l.shops)+1, rand.IntN(l.users)+1)); err != nil { //nolint:gosec // a load
			l.settle(c, time.Time{})
		}
	}
	to.short = len(to.waiting) > 0
}

func (l *liveLoad) receive(c *liveConn, buf, control []byte) {
	n, told, _, _, err := unix.Recvmsg(c.fd, buf, control, 0)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return
	}
	c.answer = append(c.answer, buf[:max(n, 0)]...)
	done, ok := c.of.ended(c.answer)
	switch {
	case done && ok:
		at := stamped(control[:max(told, 0)])
		if at.IsZero() { // at the very beginning
			at = time.Now()
		}
		l.settle(c, at)
	case done || n <= 0:
		l.settle(c, time.Time{})
	}
}

// left takes the time when the kernel sent what was written (Documentation/networking/timestamping.rst: it stands in the socket's error queue).
func (c *liveConn) left(control []byte) {
	_, told, _, _, err := unix.Recvmsg(c.fd, nil, control, unix.MSG_ERRQUEUE)
	if at := stamped(control[:max(told, 0)]); err == nil && !at.IsZero() && !c.waited {
		c.began = at
	}
}

// stamped is the time in what the kernel says of a packet, the first of three struct timespec; zero if it says nothing.
func stamped(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPING && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:]))) //nolint:gosec // of the kernel
		}
	}
	return time.Time{}
}

// settle ends one read, at a time that is zero if it failed.
func (l *liveLoad) settle(c *liveConn, at time.Time) {
	c.busy = false
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.IsZero() {
		l.failed++
		return
	}
	l.felt[c.of] = append(l.felt[c.of], liveRead{at, at.Sub(c.began)})
}

// query is a statement as MySQL takes it: a packet of the command and the text.
func query(text string) []byte {
	const command = 3
	n := len(text) + 1
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), 0, command}, text...)
}

// queryEnded looks at the answer to a query that finds one row: the number of its columns, one packet each, perhaps an end, the row, an end.
func queryEnded(answer []byte) (done, ok bool) {
	packets, columns, ends := 0, 0, 0
	for len(answer) >= 5 {
		n := int(answer[0]) | int(answer[1])<<8 | int(answer[2])<<16
		if len(answer) < 4+n {
			return false, false
		}
		switch first := answer[4]; {
		case first == 0xff:
			return true, false
		case first == 0xfe && n < 9:
			if ends++; ends == 2 || packets >= columns+2 {
				return true, packets == columns+2
			}
		default:
			if packets == 0 {
				columns = int(first)
			}
			packets++
		}
		answer = answer[4+n:]
	}
	return false, false
}

// getEnded looks at the answer to a GET: a value with its length, or that there is none.
func getEnded(answer []byte) (done, ok bool) {
	line, rest, found := bytes.Cut(answer, []byte("\r\n"))
	switch {
	case !found:
		return false, false
	case line[0] != '$':
		return true, false
	}
	n, err := strconv.Atoi(string(line[1:]))
	return err != nil || n < 0 || len(rest) >= n+2, err == nil
}

// feltLatency is what live reads took in a stretch of time, in milliseconds.
type feltLatency struct {
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	RedisP99 float64 `json:"redis_p99_ms"`
	Reads    int     `json:"reads"`
	Failed   int     `json:"failed"`
	Seconds  int     `json:"seconds"` // that count, in which the machine did not stand still
}

// take is what was felt since the last time, without the seconds in which the machine stood still.
func (l *liveLoad) take() feltLatency {
	l.mu.Lock()
	felt, failed := l.felt, l.failed
	l.felt, l.failed = map[*liveServer][]liveRead{}, 0
	l.mu.Unlock()
	seconds := map[int64]bool{} // that count
	counted := func(of *liveServer) (took []time.Duration) {
		for _, r := range felt[of] {
			if !l.still.during(r.at) {
				took = append(took, r.took)
				seconds[r.at.Unix()] = true
			}
		}
		slices.Sort(took)
		return took
	}
	database, redis := counted(&l.database), counted(&l.redis)
	return feltLatency{
		P50: quantile(database, 0.5), P99: quantile(database, 0.99), RedisP99: quantile(redis, 0.99), Reads: len(database) + len(redis), Failed: failed,
		Seconds: len(seconds),
	}
}

// quantile is of times in their order, in milliseconds.
func quantile(of []time.Duration, q float64) float64 {
	if len(of) == 0 {
		return 0
	}
	return float64(of[int(q*float64(len(of)-1))]) / float64(time.Millisecond)
}

func (l *liveLoad) end() {
	l.stop.Store(true)
	<-l.done
	l.still.end()
	require.Zero(l.t, l.take().Failed, "live reads failed")
}
