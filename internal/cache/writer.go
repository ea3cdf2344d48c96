// Package cache owns what is written to Redis: the commands of a page, when keys expire, whether every one of them was
// accepted, and the flags that say a shop is warm. What keys and values hold is the datasets' business.
//
// What is there already is overwritten, kept if it is newer, or left alone: see Op. The last two are decided in Redis,
// key by key, so that nothing can come in between. A version is read from the value itself (newer.lua): a key of its own
// for it would take more memory than most rows, would have to be in the same slot, and would not see what the
// application writes. Deleted rows have no version: the operation that will compare a tombstone's belongs beside SetNewer.
//
// Measured, in the server's time per row of 290 bytes and 12 columns (BenchmarkModes; SET of a new key: 3.8 µs):
//
//	                 objects             hashes
//	                 new      there      new      there
//	always           1        0.65       1        0.7
//	newer            1.1      2.8        1.9      2.1
//	missing          1.1      0.55       1.8      1.5
//
// each as a multiple of `always` on new keys.
package cache

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// A batch is sent in pieces. Measured with 0.5 ms each way: 129k rows/s in pieces of 500, 166k of 1,000, 183k of 2,000;
// a piece is the client's buffer memory, and what one lost connection repeats.
const (
	PieceCommands = 1000
	PieceBytes    = 1 << 20
)

// Writer writes batches. It is for any number of goroutines.
type Writer struct {
	client redis.UniversalClient
	direct direct
}

// New is a Writer to a Redis or a Redis Cluster of 6.2 or newer. The client's owner closes it.
func New(client redis.UniversalClient) *Writer {
	w := &Writer{client: client}
	w.direct.client, _ = client.(*redis.Client)
	return w
}

// Write sends a batch, and returns nil only if every command of it succeeded. Otherwise the error is a *WriteError, the
// context's, a *LostError by the batch's stamp, or ErrMisused. Whatever was written stays; writing the batch again is always safe.
//
// Set and ReplaceHash are atomic with their expiry. HSet is two commands, because a transaction per row would cost a
// round trip per row on a Redis Cluster: a connection that is cut between them leaves one hash without an expiry until
// the page is written again.
func (w *Writer) Write(ctx context.Context, b *Batch, e Expiry) error {
	if b.open {
		b.misused("Write before End")
	}
	if b.err != nil {
		return fmt.Errorf("write to the cache: %w", b.err)
	}
	if s := b.Stamp; s != nil && s.first() {
		if err := w.open(ctx, *s, e); err != nil {
			return err
		}
	}
	b.wire.column, b.wire.order = b.Version.Column, b.Version.Order
	for from := 0; from < len(b.cmds); {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		to := b.piece(from)
		b.wire.next()
		for i := from; i < to; i++ {
			b.wire.add(ctx, b, i, e)
		}
		var stamps []*redis.Cmd
		if to == len(b.cmds) && b.Stamp != nil {
			stamps = w.stamps(ctx, *b.Stamp, b.Stamp.least(), e)
		}
		if err := w.send(ctx, b, from, to, e, stamps); err != nil {
			return err
		}
		from = to
	}
	if b.Stamp != nil && (w.cluster() || b.wire.late) {
		return w.look(ctx, b)
	}
	return nil
}

// piece is where the piece that begins at a command ends. A ReplaceHash is a piece of its own: a transaction.
func (b *Batch) piece(from int) (to int) {
	if b.cmds[from].op == ReplaceHash {
		return from + 1
	}
	start := b.cmds[from].start
	for to = from + 1; to < len(b.cmds) && to < from+PieceCommands; to++ {
		if b.cmds[to].op == ReplaceHash || b.cmds[to].start-start >= PieceBytes {
			break
		}
	}
	return to
}

// send writes a piece. Its stamps go with it, unless it is a transaction, whose keys must be in one slot.
func (w *Writer) send(ctx context.Context, b *Batch, from, to int, e Expiry, stamps []*redis.Cmd) error {
	tx := b.cmds[from].op == ReplaceHash
	pipe := w.client.Pipeline()
	if tx {
		pipe = w.client.TxPipeline()
	}
	if err := w.exec(ctx, pipe, b, from, to, e, stamps, tx); err != nil || len(stamps) == 0 {
		return err
	}
	if tx {
		pipe = w.client.Pipeline()
		queue(ctx, pipe, stamps)
		_, _ = pipe.Exec(ctx) // each reply holds its own error
	}
	return b.Stamp.check(stamps)
}

// open stamps every node before the rows of a unit's first page.
func (w *Writer) open(ctx context.Context, s Stamp, e Expiry) error {
	opening, pipe := s.opening(), w.client.Pipeline()
	stamps := w.stamps(ctx, opening, 0, e)
	queue(ctx, pipe, stamps)
	_, _ = pipe.Exec(ctx) // each reply holds its own error
	for _, reply := range stamps {
		if err := reply.Err(); err != nil {
			return &WriteError{Failed: 1, Sent: 1, Key: s.key(oneTag[0]), Err: err}
		}
	}
	return nil
}

func queue(ctx context.Context, pipe redis.Pipeliner, stamps []*redis.Cmd) {
	for _, s := range stamps {
		_ = pipe.Process(ctx, s)
	}
}

// exec sends a piece, and again what needs another round.
func (w *Writer) exec(ctx context.Context, pipe redis.Pipeliner, b *Batch, from, to int, e Expiry, stamps []*redis.Cmd, tx bool) error {
	first := true
	for cmds := b.wire.cmds; ; pipe = w.client.Pipeline() {
		_ = pipe.BatchProcess(ctx, cmds...) // queues only
		if first && !tx {
			queue(ctx, pipe, stamps)
		}
		first = false
		_, err := pipe.Exec(ctx)
		if cmds = b.wire.again(ctx, b, e); len(cmds) == 0 {
			return b.failure(from, to, err)
		}
		b.wire.late = true
	}
}
