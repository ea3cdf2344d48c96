package cache

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// hashFields is how many fields one HSET sets: a hash of any size stays a row of commands of moderate size.
const hashFields = 1000

// wire holds the go-redis commands of one piece of a batch. Its slabs save an allocation per argument.
type wire struct {
	cmds   []redis.Cmder
	owner  []int // of each of cmds: the index of the batch's command that it is part of
	args   []any
	expiry []int64
	resend []redis.Cmder
	late   bool // commands of the page were sent behind its stamp

	column, order any // of the batch's Version
}

func (w *wire) reset() {
	clear(w.cmds[:cap(w.cmds)])
	clear(w.args[:cap(w.args)])
	clear(w.resend[:cap(w.resend)])
	w.next()
	w.late = false
	if cap(w.args) > keepArgs {
		*w = wire{}
	}
}

// next begins another piece. What the last one used may be overwritten: its replies have been read.
func (w *wire) next() {
	w.cmds, w.owner, w.args, w.expiry = w.cmds[:0], w.owner[:0], w.args[:0], w.expiry[:0]
}

// add puts the i-th command of the batch onto the wire.
func (w *wire) add(ctx context.Context, b *Batch, i int, e Expiry) {
	first, end := b.argsOf(i)
	key := any(b.arg(first))
	switch b.cmds[i].op {
	case Set:
		from := len(w.args)
		w.args = append(w.args, "set", key, b.arg(first+1), "pxat", w.expires(b, first, e))
		w.push(i, redis.NewStatusCmd(ctx, w.since(from)...))
	case SetNewer, SetMissing:
		from := len(w.args)
		w.args = append(w.args, "set", key, b.arg(end-1), "pxat", w.expires(b, first, e), "nx")
		w.push(i, redis.NewStatusCmd(ctx, w.since(from)...))
	case HSetNewer:
		w.push(i, w.newer(ctx, b, i, e))
	case HSetMissing:
		w.push(i, w.missing(ctx, b, i, e))
	case TouchMissing:
		if len(e.Former) > 0 {
			w.push(i, w.missing(ctx, b, i, e))
		}
	case HSet:
		w.hset(ctx, b, i, key)
		w.hdel(ctx, b, i, key)
		w.expire(ctx, b, i, key, e)
	case ReplaceHash:
		w.del(ctx, i, key)
		if end-first > 1 {
			w.hset(ctx, b, i, key)
			w.expire(ctx, b, i, key, e)
		}
	case Del:
		w.del(ctx, i, key)
	case Touch:
		w.expire(ctx, b, i, key, e)
	}
}

func (w *wire) hset(ctx context.Context, b *Batch, i int, key any) {
	first, end := b.argsOf(i)
	from, n := len(w.args), 0
	for a := first + 1; a < end; a++ {
		if b.args[a].drop {
			continue
		}
		if n%(2*hashFields) == 0 {
			if n > 0 {
				w.push(i, redis.NewIntCmd(ctx, w.since(from)...))
			}
			from = len(w.args)
			w.args = append(w.args, "hset", key)
		}
		w.args = append(w.args, b.arg(a))
		n++
	}
	if n > 0 {
		w.push(i, redis.NewIntCmd(ctx, w.since(from)...))
	}
}

func (w *wire) hdel(ctx context.Context, b *Batch, i int, key any) {
	first, end := b.argsOf(i)
	from := len(w.args)
	w.args = append(w.args, "hdel", key)
	for a := first + 1; a < end; a++ {
		if b.args[a].drop {
			w.args = append(w.args, b.arg(a))
		}
	}
	if len(w.args) > from+2 {
		w.push(i, redis.NewIntCmd(ctx, w.since(from)...))
	} else {
		w.args = w.args[:from]
	}
}

func (w *wire) del(ctx context.Context, i int, key any) {
	from := len(w.args)
	w.args = append(w.args, "del", key)
	w.push(i, redis.NewIntCmd(ctx, w.since(from)...))
}

func (w *wire) expire(ctx context.Context, b *Batch, i int, key any, e Expiry) {
	from := len(w.args)
	w.args = append(w.args, "pexpireat", key, w.expires(b, b.cmds[i].first, e))
	w.push(i, redis.NewIntCmd(ctx, w.since(from)...))
}

func (w *wire) push(owner int, cmd redis.Cmder) {
	if _, script := cmd.(*redis.Cmd); !script {
		cmd.SetFirstKeyPos(1) // what Redis Cluster routes by
	}
	w.cmds, w.owner = append(w.cmds, cmd), append(w.owner, owner)
}

// since are the arguments from the given one on. A slab that grows leaves earlier commands their part of the old one.
func (w *wire) since(from int) []any { return w.args[from:len(w.args):len(w.args)] }

// expires is the key's expiry as an argument: a pointer into a slab, which an interface holds without an allocation.
func (w *wire) expires(b *Batch, key int, e Expiry) *int64 { return w.slab(e.millis(b.arg(key))) }

func (w *wire) slab(n int64) *int64 {
	w.expiry = append(w.expiry, n)
	return &w.expiry[len(w.expiry)-1]
}
