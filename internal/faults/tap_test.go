package faults

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// tap counts the rows that a pod has sent to the cache, by shop. It reads RESP as the proxy passes it on.
type tap struct {
	mu    sync.Mutex
	conns map[int64]*resp
	rows  map[string]int64
}

func newTap() *tap { return &tap{conns: map[int64]*resp{}, rows: map[string]int64{}} }

func (t *tap) see(conn int64, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.conns[conn]
	if r == nil {
		r = &resp{}
		t.conns[conn] = r
	}
	r.feed(b, t.command)
}

func (t *tap) sent() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]int64{}
	for shop, n := range t.rows {
		out[shop] = n
	}
	return out
}

// command counts a row: SET or HSET, or a script's one key, of a dataset that has a key per row.
func (t *tap) command(args [][]byte) {
	at := 1
	switch name := strings.ToLower(string(args[0])); name {
	case "set", "hset":
	case "eval", "evalsha":
		at = 3
	default:
		return
	}
	if len(args) <= at {
		return
	}
	dataset, rest, _ := strings.Cut(string(args[at]), ":")
	switch dataset {
	case "user", "product", "order", "hot":
		shop, _, _ := strings.Cut(rest, ":")
		t.rows[shop]++
	}
}

// resp takes commands out of a connection's bytes.
type resp struct{ buf []byte }

func (r *resp) feed(b []byte, visit func(args [][]byte)) {
	r.buf = append(r.buf, b...)
	rest := r.buf
	for {
		args, after, ok := next(rest)
		if !ok {
			break
		}
		if len(args) > 0 {
			visit(args)
		}
		rest = after
	}
	r.buf = append(r.buf[:0], rest...)
}

// next is the first command of b and what follows it, if it is whole.
func next(b []byte) (args [][]byte, rest []byte, ok bool) {
	n, rest, ok := number(b, '*')
	if !ok {
		return nil, nil, false
	}
	for range n {
		var size int
		if size, rest, ok = number(rest, '$'); !ok || len(rest) < size+2 {
			return nil, nil, false
		}
		args, rest = append(args, rest[:size]), rest[size+2:]
	}
	return args, rest, true
}

func number(b []byte, mark byte) (n int, rest []byte, ok bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 1 || b[0] != mark {
		return 0, nil, false
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(b[1:end])))
	return n, b[end+1:], err == nil
}

func TestTheTapCountsRowsHoweverTheirBytesArrive(t *testing.T) {
	t.Parallel()
	var wire strings.Builder
	for _, command := range [][]string{
		{"hello", "3"}, {"set", "user:101:1", "a\r\n*3\r\n$3\r\nset", "pxat", "1"}, {"SET", "user:102:1", ""}, {"del", "product:101:7"},
		{"hset", "product:101:7", "a", "b"}, {"pexpireat", "product:101:7", "1"}, {"evalsha", "x", "1", "hot:101:1", "v"}, {"set", "shop:101", "x"},
		{"set", "prewarm:{101}:mark", "x"},
	} {
		wire.WriteString("*" + strconv.Itoa(len(command)) + "\r\n")
		for _, arg := range command {
			wire.WriteString("$" + strconv.Itoa(len(arg)) + "\r\n" + arg + "\r\n")
		}
	}
	for _, size := range []int{1, 7, 10000} {
		counts := newTap()
		for part := range slices.Chunk([]byte(wire.String()), size) {
			counts.see(1, part)
		}
		require.Equal(t, map[string]int64{"101": 3, "102": 1}, counts.sent(), "in chunks of %d", size)
	}
}
