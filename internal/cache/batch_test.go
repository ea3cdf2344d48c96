package cache

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// text is a batch's commands, for comparison.
func text(b *Batch) []string {
	var lines []string
	for i, c := range b.cmds {
		first, end := b.argsOf(i)
		line := strconv.Itoa(int(c.op))
		for a := first; a < end; a++ {
			line += " " + string(b.arg(a))
			if b.args[a].drop {
				line += "!"
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestRollbackLeavesTheOtherCommands(t *testing.T) {
	t.Parallel()
	var b Batch
	put(&b, Set, "a", "1")
	b.Rollback() // nothing was begun
	b.Begin(HSet)
	b.Buf = append(b.Buf, "half a k"...)
	b.Rollback()
	put(&b, Del, "c")
	start := b.Begin(Set)
	b.Buf = append(b.Buf, "d"...)
	b.EndArg()
	b.Buf = append(b.Buf, "half a v"...)
	b.RollbackTo(start)
	put(&b, HSet, "e", "f", "1", "-g")
	require.Equal(t, []string{"0 a 1", "3 c", "1 e f 1 g!"}, text(&b))
	require.Equal(t, 3, b.Len())
	require.Equal(t, len("a1cef1g"), b.Bytes())
}

func TestOneRowOfAValueOfManyRowsCanBeTakenBack(t *testing.T) {
	t.Parallel()
	var b Batch
	b.Begin(ReplaceHash)
	b.Buf = append(b.Buf, "k"...)
	b.EndArg()
	for i := range 4 {
		row := b.Mark()
		b.Buf = strconv.AppendInt(b.Buf, int64(i), 10)
		b.EndArg()
		if i == 2 {
			b.RollbackTo(row)
			continue
		}
		b.Buf = append(b.Buf, "v"...)
		b.EndArg()
	}
	b.End()
	require.Equal(t, []string{"2 k 0 v 1 v 3 v"}, text(&b))
}

func TestBatchHoldsWhatWasNotTakenBack(t *testing.T) {
	t.Parallel()
	var b Batch
	rapid.Check(t, func(t *rapid.T) {
		b.Reset()
		var want []string
		for range rapid.IntRange(0, 20).Draw(t, "commands") {
			key, value := rapid.StringN(0, 9, -1).Draw(t, "key"), rapid.StringN(0, 9, -1).Draw(t, "value")
			back := b.Begin(Set)
			b.Buf = append(b.Buf, key...)
			b.EndArg()
			switch rapid.IntRange(0, 3).Draw(t, "back") {
			case 0:
				b.Rollback()
			case 1:
				b.RollbackTo(back)
			default:
				b.Buf = append(b.Buf, value...)
				b.EndArg()
				b.End()
				want = append(want, "0 "+key+" "+value)
			}
		}
		require.Equal(t, want, text(&b))
	})
}

func TestAMisusedBatchIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, misuse := range map[string]func(b *Batch){
		"set without a value":   func(b *Batch) { put(b, Set, "k") },
		"set with two":          func(b *Batch) { put(b, Set, "k", "v", "w") },
		"set that drops":        func(b *Batch) { put(b, Set, "k", "v", "-f") },
		"del with a value":      func(b *Batch) { put(b, Del, "k", "v") },
		"touch with a value":    func(b *Batch) { put(b, Touch, "k", "v") },
		"no key":                func(b *Batch) { put(b, Del) },
		"dropped key":           func(b *Batch) { put(b, HSet, "-k", "f") },
		"field without a value": func(b *Batch) { put(b, HSet, "k", "f", "v", "g") },
		"end without begin":     func(b *Batch) { b.End() },
		"begin twice":           func(b *Batch) { b.Begin(Set); b.Begin(Set) },
		"argument not ended": func(b *Batch) {
			b.Begin(Del)
			b.Buf = append(b.Buf, "k"...)
			b.EndArg()
			b.Buf = append(b.Buf, "k"...)
			b.End()
		},
		"write before end": func(b *Batch) { b.Begin(Set) },
	} {
		var b Batch
		misuse(&b)
		put(&b, Set, "k", "v")
		err := New(nil).Write(t.Context(), &b, Expiry{})
		require.ErrorIs(t, err, ErrMisused, name)
		require.True(t, Definitive(err), name)
		b.Reset()
		require.NoError(t, New(nil).Write(t.Context(), &b, Expiry{}), name)
	}
}

func TestResetKeepsUsualArenasAndLetsHugeOnesGo(t *testing.T) {
	t.Parallel()
	var b Batch
	put(&b, Set, "k", strings.Repeat("x", 1<<20))
	b.Reset()
	require.Zero(t, b.Len()+b.Bytes())
	require.GreaterOrEqual(t, cap(b.Buf), 1<<20)
	put(&b, Set, "k", strings.Repeat("x", keepBytes+1))
	b.Reset()
	require.Zero(t, cap(b.Buf))
	for range keepArgs {
		put(&b, Set, "k", "v")
	}
	b.Reset()
	require.Zero(t, cap(b.args))
	put(&b, Set, "k", "v")
	require.Equal(t, []string{"0 k v"}, text(&b))
}

func TestPiecesAreBoundedByCommandsAndBytes(t *testing.T) {
	t.Parallel()
	var b Batch
	for range PieceCommands + 1 {
		put(&b, Set, "k", "v")
	}
	require.Equal(t, PieceCommands, b.piece(0))
	require.Equal(t, PieceCommands+1, b.piece(PieceCommands))
	b.Reset()
	for range 5 {
		put(&b, Set, "k", strings.Repeat("x", PieceBytes/2))
	}
	require.Equal(t, 2, b.piece(0))
	b.Reset()
	put(&b, Set, "k", "v")
	put(&b, ReplaceHash, "h", "f", "v")
	put(&b, Set, "k", "v")
	require.Equal(t, []int{1, 2, 3}, []int{b.piece(0), b.piece(1), b.piece(2)})
}
