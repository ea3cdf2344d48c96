package binlog

import (
	"bufio"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	// heartbeat is how often a server speaks that has nothing to say.
	heartbeat = time.Second
	// Silence is how long a server may say nothing; then the connection is given up.
	Silence = 15 * time.Second
	// mostEvent is the longest event that is kept. Of a longer one, with a row of that size, only the beginning is.
	mostEvent = 32 << 20
	keptHead  = 64
	fullPart  = 1<<24 - 1 // a packet of this length goes on in the next
)

// Config says what to read.
type Config struct {
	DSN      *mysql.Config
	MariaDB  bool
	ServerID uint32 // must be nobody else's among the server's replicas: the server ends the older of two
	Position string // everything behind it is read
}

// Stream is a log that is being read, by one goroutine.
type Stream struct {
	mariadb  bool
	session  driver.Conn
	conn     net.Conn
	in       *bufio.Reader
	stop     func() bool
	Position Position // of the transactions that have been read to their end
	File     string   // where the last event ended
	Offset   uint32
	summed   bool     // events end with a checksum
	began    bool     // the server has found the position
	next     string   // the transaction that is being read
	told     Position // the transactions of a MySQL that events were read of
	alone    bool     // it is one statement
	tables   map[uint64]*Table
}

var (
	// ErrQuiet: nothing came in the time that was given.
	ErrQuiet = errors.New("no event")
	// ErrPurged: the server does not have what follows the position any more, or never had it.
	ErrPurged = errors.New("the binlog does not hold what follows the position")
)

// purged is the server's number for a log that it cannot send. MySQL gives it also to a stream that it ends because another has the same id,
// which may be as soon as it begins, and says so in words that it does not translate.
const (
	purged = 1236
	sameID = "same server_uuid/server_id"
)

// Open begins to read. The context ends the stream too.
func Open(ctx context.Context, cfg Config) (*Stream, error) {
	position, err := ParsePosition(cfg.MariaDB, cfg.Position)
	if err != nil {
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	session, conn, err := login(bounded, cfg.DSN)
	if err != nil {
		return nil, err
	}
	s := &Stream{mariadb: cfg.MariaDB, session: session, conn: conn, in: bufio.NewReaderSize(conn, 64<<10), Position: position, tables: map[uint64]*Table{}}
	if err := s.begin(bounded, cfg); err != nil {
		s.Close()
		return nil, fmt.Errorf("begin to read the binlog: %w", err)
	}
	s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return s, nil
}

// Told are the transactions of a MySQL that this stream has read events of, and not those before: a server that took the place of another
// may never have had all of them.
func (s *Stream) Told() string { return s.told.String() }

// Close ends it.
func (s *Stream) Close() {
	if s.stop != nil {
		s.stop()
	}
	_ = s.conn.Close()
	_ = s.session.Close()
}

// begin asks for the log. The settings have two names, of which a server knows one.
func (s *Stream) begin(ctx context.Context, cfg Config) error {
	set := fmt.Sprintf("SET @master_binlog_checksum = @@GLOBAL.binlog_checksum, @source_binlog_checksum = @@GLOBAL.binlog_checksum, @master_heartbeat_period = %d, @source_heartbeat_period = %[1]d",
		heartbeat.Nanoseconds())
	if cfg.MariaDB {
		set += fmt.Sprintf(", @mariadb_slave_capability = 4, @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0, @slave_connect_state = '%s'", s.Position)
	}
	e, ok := s.session.(driver.ExecerContext)
	if !ok {
		return errors.New("the driver cannot execute statements")
	}
	if _, err := e.ExecContext(ctx, set, nil); err != nil {
		return err
	}
	if err := s.command(register(cfg.ServerID)); err != nil {
		return err
	}
	if _, err := s.packet(); err != nil {
		return err
	}
	if cfg.MariaDB {
		return s.command(dump(cfg.ServerID))
	}
	return s.command(dumpGTID(cfg.ServerID, s.Position.encoded()))
}

func register(id uint32) []byte {
	p := binary.LittleEndian.AppendUint32([]byte{0x15}, id)
	p = append(p, 7)
	p = append(p, "prewarm"...)
	return append(p, make([]byte, 1+1+2+4+4)...) // no user, no password, no port, no rank, no master
}

func dump(id uint32) []byte {
	p := binary.LittleEndian.AppendUint32([]byte{0x12}, 4)
	return binary.LittleEndian.AppendUint32(append(p, 0, 0), id)
}

func dumpGTID(id uint32, set []byte) []byte {
	p := binary.LittleEndian.AppendUint32([]byte{0x1e, 4, 0}, id)
	p = binary.LittleEndian.AppendUint32(p, 0)
	p = binary.LittleEndian.AppendUint64(p, 4)
	p = binary.LittleEndian.AppendUint32(p, uint32(len(set)))
	return append(p, set...)
}

func (s *Stream) command(p []byte) error {
	if err := s.conn.SetDeadline(time.Now().Add(Silence)); err != nil {
		return err
	}
	head := []byte{byte(len(p)), byte(len(p) >> 8), byte(len(p) >> 16), 0}
	_, err := s.conn.Write(append(head, p...))
	return err
}

// Next is the next event, or ErrQuiet if none begins to come in time. wait is at most Silence.
func (s *Stream) Next(wait time.Duration) (Event, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(max(wait, time.Millisecond))); err != nil {
		return Event{}, err
	}
	if _, err := s.in.Peek(1); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return Event{}, ErrQuiet
		}
		return Event{}, fmt.Errorf("read the binlog: %w", err)
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(Silence)); err != nil {
		return Event{}, err
	}
	p, err := s.packet()
	if err == nil && len(p) == 0 {
		err = errMalformed
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok && e.Number == purged && !s.began && !strings.Contains(e.Message, sameID) { // later it means other things too
		err = fmt.Errorf("%w: %w", ErrPurged, err)
	}
	if err != nil {
		return Event{}, fmt.Errorf("read the binlog: %w", err)
	}
	return s.event(p[1:])
}

// packet reads one packet, which may come in parts. A refusal is an error.
func (s *Stream) packet() ([]byte, error) {
	var all []byte
	total := 0
	for {
		var head [headerBytes]byte
		if _, err := io.ReadFull(s.in, head[:]); err != nil {
			return nil, err
		}
		n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
		if total += n; total <= mostEvent {
			had := len(all)
			all = append(all, make([]byte, n)...)
			if _, err := io.ReadFull(s.in, all[had:]); err != nil {
				return nil, err
			}
		} else {
			if len(all) < keptHead {
				return nil, errMalformed
			}
			all = all[:keptHead:keptHead]
			if _, err := io.CopyN(io.Discard, s.in, int64(n)); err != nil {
				return nil, err
			}
		}
		if n < fullPart {
			return all, refused(all)
		}
	}
}

// refused is what a server says instead of an event: 0xff, a number, # and a state, a text; or 0xfe, the log's end.
func refused(p []byte) error {
	switch {
	case len(p) == 0 || p[0] == 0:
		return nil
	case p[0] != 0xff || len(p) < 3:
		return io.ErrUnexpectedEOF
	}
	e := &mysql.MySQLError{Number: binary.LittleEndian.Uint16(p[1:]), Message: string(p[3:])}
	if len(p) >= 9 && p[3] == '#' {
		copy(e.SQLState[:], p[4:9])
		e.Message = string(p[9:])
	}
	return e
}
