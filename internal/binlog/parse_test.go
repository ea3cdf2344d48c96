package binlog

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/change"
)

// event is one as a server sends it, without a checksum.
func event(kind byte, body string) []byte {
	p := make([]byte, eventHeader, eventHeader+len(body))
	p[4] = kind
	binary.LittleEndian.PutUint32(p[9:], uint32(eventHeader+len(body)))
	return append(p, body...)
}

func unhex(t testing.TB, text string) string {
	t.Helper()
	raw, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	require.NoError(t, err)
	return string(raw)
}

// FuzzEvents reads two events of any kind, and takes apart what is in them: nothing that a server sends may break the pod.
func FuzzEvents(f *testing.F) {
	f.Add(byte(typeTableMap), "\x12\x00\x00\x00\x00\x00\x01\x00\x04test\x00\x01t\x00\x02\x03\x03\x00\x00", byte(typeWriteV1), "\x12\x00\x00\x00\x00\x00\x01\x00\x02\x03\xfc\x01\x00\x00\x00\x01\x00\x00\x00")
	f.Add(byte(typeTableMap), "\x12\x00\x00\x00\x00\x00\x01\x00\x04test\x00\x01t\x00\x02\x0f\xfe\x04\x50\x00\xfe\x28\x00", byte(typeDeleteV2), "\x12\x00\x00\x00\x00\x00\x01\x00\x02\x00\x02\x03\xfc\x02ab\x01c")
	f.Add(byte(typeMariaGTID), "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00)\x00\x00\x00\x00\x00\x00", byte(typeQuery), "\x06\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00test\x00XA COMMIT")
	f.Add(byte(typeGTID), "\x00ABCDEFGHIJKLMNOP\x05\x00\x00\x00\x00\x00\x00\x00", byte(typeXID), "12345678")
	f.Add(byte(typeTaggedGTID), unhex(f, taggedEvent), byte(typeXID), "12345678")
	f.Add(byte(typeRotate), "\x04\x00\x00\x00\x00\x00\x00\x00log.000001", byte(typeFormat), "\x04\x00")
	f.Fuzz(func(t *testing.T, first byte, body string, second byte, more string) {
		for _, mariadb := range []bool{false, true} {
			position, err := ParsePosition(mariadb, "")
			require.NoError(t, err)
			s := &Stream{mariadb: mariadb, Position: position, tables: map[uint64]*Table{}}
			for _, p := range [][]byte{event(first, body), event(second, more)} {
				e, err := s.event(p)
				if err != nil || e.Kind != Rows {
					continue
				}
				columns := make([]Column, e.Table.Width())
				for i := range columns {
					columns[i] = Column{Name: "c", Type: []string{"int", "enum", "binary", "varchar"}[i%4], Wanted: true, Charset: []string{"", "utf8mb4", "latin1"}[i%3], Length: 7, Members: []string{"a"}}
				}
				e.Table.Fits(columns)
				_ = e.Changes(columns, func(change.Change) {})
			}
			_, err = ParsePosition(mariadb, s.Position.String())
			require.NoError(t, err, "what was written can be read")
		}
	})
}

func TestMySQLsOwnFormIsRead(t *testing.T) {
	t.Parallel()
	position, err := ParsePosition(false, "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-3")
	require.NoError(t, err)
	s := &Stream{Position: position, tables: map[uint64]*Table{}}
	for _, p := range [][]byte{
		event(typeGTID, "\x01"+unhex(t, "3e11fa4771ca11e19e33c80aa9429562")+unhex(t, "0400000000000000")),
		event(typeQuery, "\x06\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00shop\x00BEGIN"),
		event(typeTableMap, "\x12\x00\x00\x00\x00\x00\x01\x00\x04shop\x00\x01t\x00\x02\x08\x0f\x02\x50\x00\x02"),
	} {
		e, err := s.event(p)
		require.NoError(t, err)
		require.Equal(t, Other, e.Kind)
	}
	e, err := s.event(event(typeWriteV2+1, "\x12\x00\x00\x00\x00\x00\x01\x00\x04\x00xy\x02\x03\x03"+"\x00\x07\x00\x00\x00\x00\x00\x00\x00\x02ab"+"\x02\x08\x00\x00\x00\x00\x00\x00\x00"))
	require.NoError(t, err)
	require.Equal(t, Rows, e.Kind)
	columns := []Column{{Name: "id", Type: "bigint", Wanted: true}, {Name: "name", Type: "varchar", Charset: "utf8mb4", Wanted: true}}
	var got []change.Change
	require.NoError(t, e.Changes(columns, func(c change.Change) { got = append(got, c) }))
	seven, eight, ab := "7", "8", "ab"
	require.Equal(t, []change.Change{{Database: "shop", Table: "t", Op: change.Update, Before: change.Row{"id": &seven, "name": &ab}, After: change.Row{"id": &eight, "name": nil}}}, got)
	require.Equal(t, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-3", s.Position.String(), "the position moves at the end of a transaction")
	e, err = s.event(event(typeXID, "12345678"))
	require.NoError(t, err)
	require.Equal(t, Commit, e.Kind)
	require.Equal(t, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-4", s.Position.String())
	require.Equal(t, unhex(t, "0100000000000000 3e11fa4771ca11e19e33c80aa9429562 0100000000000000 0100000000000000 0500000000000000"), string(s.Position.encoded()))

	_, err = s.event(event(typeAnonymous, strings.Repeat("\x00", 25)))
	require.ErrorIs(t, err, ErrNoGTID)
}

// taggedEvent is one of MySQL 9.7: the second transaction with the tag deploy.
const taggedEvent = "02 72 00 00 00 02 78 7a 14 70 99 03 2d 02 22 c5 03 35 02 fe 04 f1 03 00 00 00 02 04 08 06 0c 64 65 70 6c 6f 79 08 10 0a 1c 0c 7f 36 da 1b 51 df 60 06 10 45 04 12 83 12 0b"

func TestATagIsPartOfAPosition(t *testing.T) {
	t.Parallel()
	const id = "3c3d0a38-e68b-11f1-8d7f-02fc00000001"
	position, err := ParsePosition(false, id+":1-3:deploy:1")
	require.NoError(t, err)
	s := &Stream{Position: position, tables: map[uint64]*Table{}}
	body := unhex(t, taggedEvent)
	_, err = s.event(event(typeTaggedGTID, body))
	require.NoError(t, err)
	_, err = s.event(event(typeXID, "12345678"))
	require.NoError(t, err)
	require.Equal(t, id+":1-3:deploy:1-2", s.Position.String())
	for n := range len(body) {
		_, err := s.event(event(typeTaggedGTID, body[:n]))
		if n < 38 { // the tag ends there
			require.ErrorIs(t, err, errMalformed, "%d bytes", n)
		}
	}
	for _, text := range []string{id + ":a", id + ":1:a", id + ":a-b:1", id + ":" + strings.Repeat("a", 33) + ":1"} {
		_, err := ParsePosition(false, text)
		require.Error(t, err, text)
	}
	p, err := ParsePosition(false, "3E11FA47-71CA-11E1-9E33-C80AA9429562:Tag:7,"+"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-3:a:4-5")
	require.NoError(t, err)
	require.Equal(t, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-3:a:4-5:tag:7", p.String())
	const raw = "3e11fa4771ca11e19e33c80aa9429562"
	require.Equal(t, unhex(t, "01 03 0000000000 01"+raw+"00 0100000000000000 0100000000000000 0400000000000000"+
		raw+"02 61 0100000000000000 0400000000000000 0600000000000000"+raw+"06 746167 0100000000000000 0700000000000000 0800000000000000"), string(p.encoded()))
}

func TestAnEventThatIsNotKnownMayHaveChangedRows(t *testing.T) {
	t.Parallel()
	for _, mariadb := range []bool{false, true} {
		for kind, want := range map[byte]Event{28: {}, 29: {}, 160: {}, 17: {}, typeLoadQuery: {Kind: Opaque}, 43: {Kind: Opaque}, 250: {Kind: Opaque}, typeIncident: {Kind: Opaque, Ends: !mariadb}} {
			s := &Stream{mariadb: mariadb, Position: Position{mariadb: mariadb, domains: map[string]string{}, sets: map[string][]interval{}}}
			p := event(kind, "what it says")
			e, err := s.event(p)
			require.NoError(t, err)
			require.Equal(t, want, e, kind)
			p[17] |= ignorable
			if e, err = s.event(p); want.Ends || kind == typeIncident {
				continue
			}
			require.NoError(t, err)
			require.Equal(t, Event{}, e, "its server says that it can be left out")
		}
	}
}

func TestALogIsGoneOnlyIfThatIsWhyTheServerDoesNotSendIt(t *testing.T) {
	t.Parallel()
	for text, gone := range map[string]bool{
		"Cannot replicate because the source purged required binary logs.":                                true,
		"Replica has more GTIDs than the source has, using the source's SERVER_UUID.":                     true,
		"A replica with the same server_uuid/server_id as this replica has connected to the source; the ": false,
		"A slave with the same server_uuid/server_id as this slave has connected to the master; the ":     false,
	} {
		server, client := net.Pipe()
		p := "\xff\xd4\x04#HY000" + text
		go func() { _, _ = server.Write(append([]byte{byte(len(p)), 0, 0, 1}, p...)) }()
		s := &Stream{conn: client, in: bufio.NewReader(client)}
		_, err := s.Next(time.Second)
		require.ErrorContains(t, err, text)
		require.Equal(t, gone, errors.Is(err, ErrPurged), text)
		require.NoError(t, server.Close())
		require.NoError(t, client.Close())
	}
}

func TestAStatementSaysWhetherItEndsItsTransaction(t *testing.T) {
	t.Parallel()
	query := func(mariadb, alone bool, text string) Event {
		s := &Stream{mariadb: mariadb, alone: alone, Position: Position{mariadb: mariadb, domains: map[string]string{}, sets: map[string][]interval{}}}
		e, err := s.event(event(typeQuery, strings.Repeat("\x00", 13)+"\x00"+text))
		require.NoError(t, err)
		return e
	}
	require.Equal(t, Other, query(true, false, "SAVEPOINT a").Kind)
	require.Equal(t, Other, query(true, false, "ROLLBACK TO a").Kind)
	require.Equal(t, Commit, query(true, false, "COMMIT").Kind)
	require.Equal(t, Opaque, query(true, true, "XA COMMIT X'61',X'',1").Kind)
	require.Equal(t, Event{Kind: Statement, Text: "TRUNCATE t", Ends: true}, query(true, true, "TRUNCATE t"))
	require.Equal(t, Event{Kind: Statement, Text: "ALTER TABLE t ADD x INT", Ends: true}, query(false, false, "ALTER TABLE t ADD x INT"))
	require.False(t, query(false, false, "UPDATE t SET a = 1").Ends)
	require.False(t, query(false, false, "CREATE TABLE `t` (`a` int) START TRANSACTION").Ends, "its rows follow")
	require.False(t, query(true, false, "UPDATE t SET a = 1").Ends)
}

func TestAPositionHoldsWhatWasAddedToIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const id = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
		p, err := ParsePosition(false, "")
		require.NoError(t, err)
		want := map[uint64]bool{}
		for _, n := range rapid.SliceOfN(rapid.Uint64Range(1, 40), 1, 60).Draw(t, "numbers") {
			require.True(t, p.add(fmt.Sprintf("%s:%d", id, n)))
			want[n] = true
			p, err = ParsePosition(false, p.String())
			require.NoError(t, err)
		}
		var last uint64
		have := 0
		for _, i := range p.sets[id] {
			require.Greater(t, i.first, last+b2u(last > 0), "they are in order and do not touch")
			for n := i.first; n <= i.last; n++ {
				require.True(t, want[n])
				have++
			}
			last = i.last
		}
		require.Len(t, want, have)
	})
	for _, text := range []string{"0-1", "a-1-2", "0-1-2-3"} {
		_, err := ParsePosition(true, text)
		require.Error(t, err, text)
	}
	for _, text := range []string{"x:1", "3e11fa47-71ca-11e1-9e33-c80aa9429562", "3e11fa47-71ca-11e1-9e33-c80aa9429562:2-1", "3e11fa47-71ca-11e1-9e33-c80aa9429562:0"} {
		_, err := ParsePosition(false, text)
		require.Error(t, err, text)
	}
	p, err := ParsePosition(true, "1-2-7,0-1-100")
	require.NoError(t, err)
	require.True(t, p.add("0-3-101"))
	require.Equal(t, "0-3-101,1-2-7", p.String())
}

func b2u(b bool) uint64 { return uint64(b2i(b)) }
