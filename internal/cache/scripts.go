package cache

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a script
	_ "embed"
	"encoding/hex"
	"errors"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed newer.lua
	newerLua string
	//go:embed missing.lua
	missingLua string

	newerScript   = newScript(newerLua)
	missingScript = newScript(missingLua)
)

// script is a Lua script and the name that it is called by, as arguments of a command.
type script struct{ text, sha any }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see above
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}

// again readies what is to be sent after the answers to the last round, and returns it:
//   - SET … NX found a key: the script has a look at it. Keys are mostly not there yet when a shop is warmed, and a SET
//     costs the server a quarter of the script.
//   - A node does not have the script, since it is new, was restarted, took over, or was flushed: EVAL brings the script
//     along, to whichever node it is now that has the key, and leaves it there for the next page. There is no list of
//     nodes to keep, and no moment between loading and calling.
//
// It ends: NX becomes EVALSHA, EVALSHA becomes EVAL, and EVAL stays.
func (w *wire) again(ctx context.Context, b *Batch, e Expiry) []redis.Cmder {
	w.resend = w.resend[:0]
	for i, cmd := range w.cmds {
		err := cmd.Err()
		switch {
		case err == nil:
			continue
		case errors.Is(err, redis.Nil):
			cmd.SetErr(nil)
			if cmd = w.found(ctx, b, w.owner[i], e); cmd == nil {
				continue
			}
			w.cmds[i] = cmd
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			cmd.SetErr(nil)
			withText(cmd.Args())
		default:
			continue
		}
		w.resend = append(w.resend, cmd)
	}
	return w.resend
}

// found is what comes after a SET … NX that found a key, or nil.
func (w *wire) found(ctx context.Context, b *Batch, i int, e Expiry) redis.Cmder {
	switch {
	case b.cmds[i].op == SetNewer:
		return w.newer(ctx, b, i, e)
	case len(e.Former) > 0:
		return w.missing(ctx, b, i, e)
	}
	return nil
}

// withText makes an EVALSHA an EVAL.
func withText(args []any) {
	args[0] = "eval"
	for _, s := range []script{newerScript, missingScript} {
		if args[1] == s.sha {
			args[1] = s.text
			return
		}
	}
}

// newer calls newer.lua, where its arguments are explained.
func (w *wire) newer(ctx context.Context, b *Batch, i int, e Expiry) redis.Cmder {
	first, end := b.argsOf(i)
	from := len(w.args)
	w.args = append(w.args, "evalsha", newerScript.sha, 1, any(b.arg(first)), w.expires(b, first, e),
		w.column, w.order, any(b.arg(first+1)), -1)
	if b.cmds[i].op == HSetNewer {
		drops := w.rest(b, first+2, end, true)
		w.args[from+8] = drops
	}
	w.rest(b, first+2, end, false)
	return redis.NewCmd(ctx, w.since(from)...)
}

// missing calls missing.lua.
func (w *wire) missing(ctx context.Context, b *Batch, i int, e Expiry) redis.Cmder {
	first, end := b.argsOf(i)
	from := len(w.args)
	w.args = append(w.args, "evalsha", missingScript.sha, 1, any(b.arg(first)), w.expires(b, first, e), len(e.Former))
	for _, end := range e.Former {
		w.args = append(w.args, w.slab(e.millisFor(end, b.arg(first))))
	}
	w.rest(b, first+1, end, false)
	return redis.NewCmd(ctx, w.since(from)...)
}

// rest appends the fields to remove, or all arguments but these, and returns how many they were.
func (w *wire) rest(b *Batch, from, end int, drop bool) int {
	before := len(w.args)
	for a := from; a < end; a++ {
		if b.args[a].drop == drop {
			w.args = append(w.args, b.arg(a))
		}
	}
	return len(w.args) - before
}
