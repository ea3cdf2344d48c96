package cache

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// # Rows that change while a page is on its way
//
// A page that was read before a row changed and is written after the change has reached the cache would bring the old row
// back. So whoever brings a change first notes its keys (NoteChanges), then reads the rows, then writes them; and whoever
// has written rows looks which of their keys were noted since before it read them (ChangedSince), and reads those again.
// Of two that write the same key the last one then has either read it after the change, or finds it noted. That holds
// whatever the clocks say and however long anybody stands still: changes are numbered, and numbers that were forgotten
// count as changes of every key.
//
// Nothing of it costs a page anything as long as nothing changes: the newest number comes with the page's stamp.

const (
	// changesKept is how many keys of a shop's dataset are remembered; of pages in flight when more change, all rows are read
	// again.
	changesKept = 20000
	// changesLive is how long they are remembered after the last one. A page is on its way for seconds.
	changesLive = 15 * time.Minute
	// changesAtOnce is how many keys one command names.
	changesAtOnce = 1000
)

// Watched is a shop's dataset, whose recent changes are remembered in the cache.
type Watched struct{ Shop, Dataset string }

func (w Watched) key() string { return redisconn.ChangedKey(w.Shop, w.Dataset) }

//go:embed changed.lua
var changedLua string

// NoteChanges notes that keys are about to be read again because they have changed; none: any of the dataset may be. It
// answers the number of the change.
func (w *Writer) NoteChanges(ctx context.Context, of Watched, keys []string) (seq int64, err error) {
	for first := true; first || len(keys) > 0; first = false {
		part := keys[:min(len(keys), changesAtOnce)]
		keys = keys[len(part):]
		args := []any{"eval", changedLua, 1, of.key(), changesLive.Milliseconds(), changesKept}
		for _, key := range part {
			args = append(args, key)
		}
		if seq, err = w.client.Do(ctx, args...).Int64(); err != nil {
			return 0, fmt.Errorf("note changes in the cache: %w", err)
		}
	}
	return seq, nil
}

// ChangedSince says which keys were noted after the number since, and what the newest number was.
func (w *Writer) ChangedSince(ctx context.Context, of Watched, since int64, keys []string) (seq int64, changed []string, err error) {
	for first := true; first || len(keys) > 0; first = false {
		part := keys[:min(len(keys), changesAtOnce)]
		keys = keys[len(part):]
		members := []string{"seq", "floor"}
		for _, key := range part {
			members = append(members, ":"+key)
		}
		scores, err := w.client.ZMScore(ctx, of.key(), members...).Result()
		if err != nil {
			return 0, nil, fmt.Errorf("look for changes in the cache: %w", err)
		}
		if first {
			seq = int64(scores[0])
		}
		// A number that went back: the set has expired or was lost, and with it what had changed.
		all := int64(scores[0]) < since || int64(scores[1]) > since
		for i, key := range part {
			if all || int64(scores[i+2]) > since {
				changed = append(changed, key)
			}
		}
	}
	return seq, changed, nil
}

// Keys are those of a batch's commands, in their order.
func (b *Batch) Keys() []string {
	keys := make([]string, len(b.cmds))
	for i, c := range b.cmds {
		keys[i] = string(b.arg(c.first))
	}
	return keys
}

// look asks for the newest number once more, where the stamp did not come last of all.
func (w *Writer) look(ctx context.Context, b *Batch) error {
	seq, err := w.client.ZScore(ctx, b.Stamp.Of.key(), "seq").Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it bare
		return fmt.Errorf("look for changes in the cache: %w", err)
	}
	b.Stamp.Seq = int64(seq)
	return nil
}
