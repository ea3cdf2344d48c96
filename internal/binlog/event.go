package binlog

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

// Kind is what an event tells of.
type Kind int

// Kinds of events.
const (
	Other     Kind = iota // nothing that matters
	Rows                  // rows of Table changed
	Statement             // Text was executed, and was not written as rows
	Commit                // a transaction ended: Position has moved
	Idle                  // there is nothing more to read now
	Opaque                // rows may have changed, and it is not known which: a compressed transaction, or an event that is not known
)

// Event is one event.
type Event struct {
	Kind   Kind
	At     time.Time // when it was written, in whole seconds of the server's clock; zero: it does not say
	Schema string    // of a Statement: the schema that was used
	Text   string
	Ends   bool // of a Statement and of Opaque: it is a transaction of its own
	Table  *Table
	rows   rowsEvent
}

var (
	errMalformed = errors.New("malformed event")
	errChecksum  = errors.New("the checksum of an event is wrong")
	// ErrNoGTID: a transaction has no GTID, so that reading could not go on behind it.
	ErrNoGTID = errors.New("the server writes transactions without GTIDs")
)

// The types of events that are looked at.
const (
	typeQuery         = 2
	typeRotate        = 4
	typeFormat        = 15
	typeXID           = 16
	typeLoadQuery     = 18 // LOAD DATA of a session that does not write rows
	typeTableMap      = 19
	typeWriteV1       = 23
	typeDeleteV1      = 25
	typeIncident      = 26 // the server could not write what happened
	typeHeartbeat     = 27
	typeWriteV2       = 30
	typeDeleteV2      = 32
	typeGTID          = 33
	typePreviousGTIDs = 35
	typeAnonymous     = 34
	typeXAPrepare     = 38
	typePartialUpdate = 39
	typePayload       = 40
	typeHeartbeatV2   = 41
	typeTaggedGTID    = 42
	typeMariaGTID     = 162
	typeMariaGTIDList = 163
	typeMariaQueryZ   = 165 // compressed
	typeMariaRowsZ    = 166 // to 171: compressed rows
	typeMariaLast     = 171
)

// harmless are types of events that tell nothing of rows: the log's own, what goes before a statement or a LOAD DATA, texts for people, and
// what servers tell each other. Any other that is not known may, unless its server says that it can be left out.
var harmless = map[byte]bool{
	1: true, 3: true, typeRotate: true, 5: true, 9: true, 11: true, 13: true, 14: true, typeFormat: true, 17: true, 28: true, 29: true,
	typePreviousGTIDs: true, 36: true, 37: true, 160: true, 161: true, typeMariaGTIDList: true, 164: true,
}

const (
	eventHeader = 19
	ignorable   = 1 << 7 // a flag of events that can be left out
)

// event reads an event and follows the position.
func (s *Stream) event(p []byte) (_ Event, err error) {
	if len(p) < eventHeader {
		return Event{}, errMalformed
	}
	if p, err = s.checked(p); err != nil {
		return Event{}, err
	}
	kind, body := p[4], p[eventHeader:]
	e := Event{}
	if at := binary.LittleEndian.Uint32(p); at > 0 {
		e.At = time.Unix(int64(at), 0).UTC()
	}
	if end := binary.LittleEndian.Uint32(p[13:]); end > 0 && kind != typeRotate && kind != typeHeartbeat && kind != typeHeartbeatV2 {
		s.Offset = end
	}
	s.began = s.began || kind != typeRotate && kind != typeFormat && kind != typeMariaGTIDList && kind != typePreviousGTIDs
	switch {
	case kind == typeRotate && len(body) > 8:
		s.Offset, s.File = uint32(binary.LittleEndian.Uint64(body)), string(body[8:])
	case kind == typeHeartbeat || kind == typeHeartbeatV2:
		e.Kind = Idle
	case kind == typeMariaGTID:
		err = s.mariaGTID(binary.LittleEndian.Uint32(p[5:]), body)
	case kind == typeGTID:
		err = s.mysqlGTID(body)
	case kind == typeTaggedGTID:
		err = s.taggedGTID(body)
	case kind == typeAnonymous:
		err = ErrNoGTID
	case kind == typeXID || kind == typeXAPrepare:
		e.Kind = Commit
	case kind == typeQuery:
		err = s.query(&e, body)
	case kind == typeMariaQueryZ || kind == typePayload:
		e.Kind, e.Ends = Opaque, s.alone || kind == typePayload
	case kind == typeTableMap:
		err = s.tableMap(body)
	case kind >= typeWriteV1 && kind <= typeDeleteV1 || kind >= typeWriteV2 && kind <= typeDeleteV2 || kind == typePartialUpdate || kind >= typeMariaRowsZ && kind <= typeMariaLast:
		err = s.rows(&e, kind, body)
	case kind == typeIncident:
		e.Kind, e.Ends = Opaque, !s.mariadb // MySQL gives it a GTID of its own
	case !harmless[kind] && binary.LittleEndian.Uint16(p[17:])&ignorable == 0:
		e.Kind = Opaque
	}
	if err != nil {
		return Event{}, fmt.Errorf("event of type %d: %w", kind, err)
	}
	if e.Kind == Commit || e.Ends {
		s.Position.add(s.next)
	}
	return e, nil
}

// checked takes the checksum off an event, if the log's format says that it has one. Events that the server makes up on the way
// are right without, too.
func (s *Stream) checked(p []byte) ([]byte, error) {
	const sum = 4
	if p[4] == typeFormat {
		s.summed = len(p) > eventHeader+sum && p[len(p)-sum-1] == 1
	}
	if len(p) < eventHeader+sum {
		return p, nil
	}
	text := p[:len(p)-sum]
	if binary.LittleEndian.Uint32(p[len(text):]) == crc32.ChecksumIEEE(text) {
		if s.summed || p[4] == typeRotate {
			return text, nil
		}
	} else if s.summed && p[4] != typeRotate && p[4] != typeFormat && len(p) < mostEvent && binary.LittleEndian.Uint32(p[9:]) == uint32(len(p)) {
		return nil, errChecksum
	}
	return p, nil
}

// query reads a statement: a thread, a time, lengths and an error in 13 bytes, variables, the schema, the text.
func (s *Stream) query(e *Event, body []byte) error {
	if len(body) < 13 {
		return errMalformed
	}
	schema, variables := int(body[8]), int(binary.LittleEndian.Uint16(body[11:]))
	if len(body) < 13+variables+schema+1 {
		return errMalformed
	}
	e.Schema, e.Text = string(body[13+variables:13+variables+schema]), strings.TrimSpace(string(body[13+variables+schema+1:]))
	switch word := firstWord(e.Text); word {
	case "BEGIN", "SAVEPOINT", "#", "XA START", "XA END":
		return nil
	case "COMMIT", "ROLLBACK", "XA ROLLBACK":
		if !strings.HasPrefix(strings.ToUpper(e.Text), "ROLLBACK TO") {
			e.Kind = Commit
		}
		return nil
	case "XA COMMIT":
		e.Kind, e.Ends = Opaque, true
		return nil
	default:
		e.Kind, e.Ends = Statement, s.alone || !s.mariadb && !dataStatement[word] && !strings.HasSuffix(e.Text, "START TRANSACTION")
		return nil
	}
}

// dataStatement are statements that stand between others of their transaction, of which MySQL does not say so itself. A CREATE TABLE whose
// rows follow ends with START TRANSACTION.
var dataStatement = map[string]bool{"INSERT": true, "UPDATE": true, "DELETE": true, "REPLACE": true, "LOAD": true}

// firstWord is the first word of a statement, in capitals; of XA the first two.
func firstWord(text string) string {
	words := strings.Fields(strings.ToUpper(text[:min(len(text), 100)]))
	switch {
	case len(words) == 0:
		return ""
	case words[0] == "XA" && len(words) > 1:
		return "XA " + strings.TrimSuffix(words[1], ";")
	}
	return strings.TrimSuffix(words[0], ";")
}

// mariaGTID reads the beginning of a transaction: a number, a domain, flags.
func (s *Stream) mariaGTID(server uint32, body []byte) error {
	if len(body) < 13 {
		return errMalformed
	}
	s.next = fmt.Sprintf("%d-%d-%d", binary.LittleEndian.Uint32(body[8:]), server, binary.LittleEndian.Uint64(body))
	s.alone = body[12]&1 != 0
	return nil
}

// mysqlGTID reads the beginning of a transaction: flags, a UUID, a number.
func (s *Stream) mysqlGTID(body []byte) error {
	if len(body) < 25 {
		return errMalformed
	}
	return s.begins(fmt.Sprintf("%s:%d", uuidText(body[1:17]), binary.LittleEndian.Uint64(body[17:])))
}

// begins notes that a transaction of MySQL begins.
func (s *Stream) begins(gtid string) error {
	s.next, s.alone = gtid, false
	if !s.told.add(gtid) {
		return errMalformed
	}
	return nil
}

// taggedGTID reads the beginning of a transaction whose GTID has a tag, as MySQL has them from 8.3 on: a version, a size, the last field that
// must be understood, and fields with their numbers, of which the first four are flags, a UUID, a number and the tag.
func (s *Stream) taggedGTID(body []byte) error {
	const uuid, number, tag = 1, 2, 3
	r := reader{body}
	if version := r.packed(); version != 1 {
		return fmt.Errorf("%w: form %d of a GTID", errMalformed, version)
	}
	r.packed()
	r.packed()
	var id [16]byte
	var n uint64
	name := ""
	for field := r.packed(); r.bytes != nil && field <= tag; field = r.packed() {
		switch field {
		case uuid:
			for i := range id {
				id[i] = byte(r.packed())
			}
		case number:
			n = r.packed() >> 1 // the last bit is its sign
		case tag:
			name = string(r.take(int(min(r.packed(), mostTag+1))))
		default:
			r.packed()
		}
	}
	if r.bytes == nil {
		return errMalformed
	}
	if name != "" {
		name = ":" + name
	}
	return s.begins(fmt.Sprintf("%s%s:%d", uuidText(id[:]), name, n))
}

func uuidText(raw []byte) string {
	id := hex.EncodeToString(raw)
	return fmt.Sprintf("%s-%s-%s-%s-%s", id[:8], id[8:12], id[12:16], id[16:20], id[20:])
}
