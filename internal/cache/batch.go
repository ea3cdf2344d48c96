package cache

import (
	"errors"
	"fmt"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// ErrMisused: a batch was put together wrongly, which is a bug. Nothing of it is written.
var ErrMisused = errors.New("batch misused")

// Op is what a command of a Batch does with its key.
type Op uint8

// Operations and their arguments, the key always first. Every key but a deleted one gets the expiry of the write.
const (
	// Set: key, value.
	Set Op = iota
	// HSet: key, then field and value by turns; fields ended with EndDrop stand alone and are removed. Other fields of
	// the hash stay.
	HSet
	// ReplaceHash: key, then field and value by turns. The hash is replaced as one; without fields it is removed.
	ReplaceHash
	// Del: key.
	Del
	// Touch: key. It gets the expiry and keeps its value; one that is not there stays so.
	Touch

	// SetNewer: key, version, value, which is an object with the version's column. If the key holds a newer version,
	// that one stays and gets the expiry. A row without a version has an empty one, which is older than any; so is what
	// the key holds if no version can be read from it. Of equal versions the later write wins.
	SetNewer
	// HSetNewer: key, version, then as HSet; the version's column is a field. As one, and as SetNewer.
	HSetNewer

	// SetMissing: key, value. A key that is there is left alone, with its expiry, whatever it holds; but one whose
	// expiry is of Expiry.Former gets the new one, and keeps its value.
	SetMissing
	// HSetMissing: key, then as HSet; there is nothing to remove, and without fields nothing is written. As one, and as
	// SetMissing.
	HSetMissing
	// TouchMissing: key. It gets the expiry if its own is of Expiry.Former.
	TouchMissing
)

// Arenas that grew beyond these are let go by Reset, so that one page of huge rows does not stay for the process' life.
// A page ends at 4 MiB unless a single row is larger.
const (
	keepBytes = 8 << 20
	keepArgs  = 64 << 10
)

// Batch is one page's commands. Their keys and values stand in one arena, Buf, that encoders append to:
//
//	b.Begin(cache.Set)
//	b.Buf = appendKey(b.Buf, row)
//	b.EndArg()
//	b.Buf = appendValue(b.Buf, row)
//	b.EndArg()
//	b.End() // or b.Rollback(), if the row cannot be encoded
//
// The zero Batch is ready for use; Reset makes one ready for the next page. A Batch is for one goroutine.
type Batch struct {
	Buf     []byte
	Version dataset.Version // of SetNewer and HSetNewer; Reset keeps it
	Stamp   *Stamp          // written behind the last command; nil: none

	args []argument
	cmds []command
	open bool  // the last of cmds was begun and not ended
	err  error // the first misuse since Reset
	wire wire  // the Writer's, kept here to be used again
}

// argument ends at end in Buf and begins where the one before it ends.
type argument struct {
	end  int
	drop bool // a field to remove
}

type command struct {
	op    Op
	start int // in Buf
	first int // in args; the command's arguments end where the next one's begin
}

// Mark is a place in a Batch to return to.
type Mark struct {
	buf, args, cmds int
	open            bool
}

// Begin starts a command. The mark is the place before it.
func (b *Batch) Begin(op Op) Mark {
	if b.open {
		b.misused("Begin before End")
	}
	m := b.Mark()
	b.cmds = append(b.cmds, command{op: op, start: len(b.Buf), first: len(b.args)})
	b.open = true
	return m
}

// EndArg ends an argument: what was appended to Buf since the last one.
func (b *Batch) EndArg() { b.args = append(b.args, argument{end: len(b.Buf)}) }

// EndDrop ends an argument of HSet that names a field to remove, for a column that is NULL.
func (b *Batch) EndDrop() { b.args = append(b.args, argument{end: len(b.Buf), drop: true}) }

// End completes the command. Arguments that do not fit the operation are a bug of the caller: Write refuses the batch.
func (b *Batch) End() {
	if !b.open {
		b.misused("End without Begin")
		return
	}
	b.open = false
	c := b.cmds[len(b.cmds)-1]
	if what := c.check(b.args[c.first:]); what != "" {
		b.misused(what)
	} else if (c.op == SetNewer || c.op == HSetNewer) && b.Version.Column == "" {
		b.misused("no Version")
	} else if b.args[len(b.args)-1].end != len(b.Buf) {
		b.misused("End before EndArg")
	}
}

func (b *Batch) misused(what string) {
	if b.err == nil {
		b.err = fmt.Errorf("%w: %s", ErrMisused, what)
	}
}

// check says what is wrong with the arguments, or "".
func (c command) check(args []argument) string {
	drops := 0
	for _, a := range args {
		if a.drop {
			drops++
		}
	}
	rest := len(args) - drops - 1
	switch {
	case len(args) == 0 || args[0].drop:
		return "no key"
	case drops > 0 && c.op != HSet && c.op != HSetNewer && c.op != HSetMissing:
		return "EndDrop outside HSet"
	}
	switch c.op {
	case Set, SetMissing:
		if rest != 1 {
			return "Set needs one value"
		}
	case SetNewer:
		if rest != 2 {
			return "SetNewer needs a version and a value"
		}
	case Del, Touch, TouchMissing:
		if rest != 0 {
			return "Del and Touch have no value"
		}
	case HSetNewer:
		if rest < 1 || args[1].drop {
			return "HSetNewer needs a version"
		}
		rest--
		fallthrough
	case HSet, ReplaceHash, HSetMissing:
		if rest%2 != 0 {
			return "a field without a value"
		}
	}
	return ""
}

// Mark is where the batch stands now, also within a command: a row of a value made of many rows can be taken back.
func (b *Batch) Mark() Mark { return Mark{len(b.Buf), len(b.args), len(b.cmds), b.open} }

// RollbackTo takes back all that came after the mark.
func (b *Batch) RollbackTo(m Mark) {
	b.Buf, b.args, b.cmds, b.open = b.Buf[:m.buf], b.args[:m.args], b.cmds[:m.cmds], m.open
}

// Rollback takes back the command that was begun and not ended.
func (b *Batch) Rollback() {
	if !b.open {
		return
	}
	c := b.cmds[len(b.cmds)-1]
	b.RollbackTo(Mark{buf: c.start, args: c.first, cmds: len(b.cmds) - 1})
}

// Len is the number of commands, one begun included.
func (b *Batch) Len() int { return len(b.cmds) }

// Bytes is the size of their keys and values.
func (b *Batch) Bytes() int { return len(b.Buf) }

// Reset empties the batch and keeps its arenas, unless they have grown too large.
func (b *Batch) Reset() {
	b.RollbackTo(Mark{})
	b.err, b.Stamp = nil, nil
	if cap(b.Buf) > keepBytes {
		b.Buf = nil
	}
	if cap(b.args) > keepArgs {
		b.args, b.cmds = nil, nil
	}
	b.wire.reset()
}

// argsOf are the bounds of a command's arguments in args.
func (b *Batch) argsOf(i int) (first, end int) {
	if i+1 < len(b.cmds) {
		return b.cmds[i].first, b.cmds[i+1].first
	}
	return b.cmds[i].first, len(b.args)
}

// arg is an argument's text. It is valid until Buf changes.
func (b *Batch) arg(i int) []byte {
	start := 0
	if i > 0 {
		start = b.args[i-1].end
	}
	return b.Buf[start:b.args[i].end:b.args[i].end]
}
