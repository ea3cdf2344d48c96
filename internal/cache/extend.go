package cache

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// Extension says which keys get a new expiry.
type Extension struct {
	Prefix string                // all of them begin with it
	Own    func(key string) bool // whether a key that does is one of them
	Expiry
	Proceed func(ctx context.Context) error // asked before each look at the server; an error ends the work
	Moved   func(keys int)                  // told what was done, look by look
}

// Extended counts what was found. Keys that the server has shown twice count twice.
type Extended struct {
	Moved int64 // they have the new expiry
	Alike int64 // left alone: their expiry is not one of Former to the millisecond, or they have gone meanwhile
}

//go:embed extend.lua
var extendLua string

// extendAtOnce is how many keys one call of the script is given: it takes 0.2 ms of the server's time, in which nobody else is
// served. On a Redis Cluster each key is in a slot of its own.
const extendAtOnce = 100

// Extend finds keys in the cache and gives them a new expiry, if theirs is of Former: it tells prewarm's keys from those that
// the application has written under such names. Doing it twice is harmless.
func (w *Writer) Extend(ctx context.Context, x Extension) (all Extended, err error) {
	err = Scan(ctx, w.client, x.Prefix, x.Proceed, func(ctx context.Context, keys []string) error {
		own := slices.DeleteFunc(keys, func(key string) bool { return strings.HasPrefix(key, redisconn.Own) || !x.Own(key) })
		for part := range slices.Chunk(own, PieceCommands) {
			moved, err := w.extend(ctx, part, x.Expiry)
			if err != nil {
				return err
			}
			all.Moved += moved
			all.Alike += int64(len(part)) - moved
			x.Moved(int(moved))
		}
		return nil
	})
	if err != nil {
		return all, fmt.Errorf("move expiries in the cache: %w", err)
	}
	return all, nil
}

// extend moves the expiries of one piece's keys.
func (w *Writer) extend(ctx context.Context, keys []string, e Expiry) (moved int64, err error) {
	size := extendAtOnce
	if w.cluster() {
		size = 1
	}
	pipe := w.client.Pipeline()
	var replies []*redis.Cmd
	for part := range slices.Chunk(keys, size) {
		args := make([]any, 0, 1+len(part)*(1+len(e.Former)))
		args = append(args, len(e.Former))
		for _, key := range part {
			args = append(args, e.millis([]byte(key)))
			for _, end := range e.Former {
				args = append(args, e.millisFor(end, []byte(key)))
			}
		}
		replies = append(replies, pipe.Eval(ctx, extendLua, part, args...))
	}
	_, _ = pipe.Exec(ctx) // each reply holds its own error
	for _, reply := range replies {
		n, err := reply.Int64()
		if err != nil {
			return moved, err
		}
		moved += n
	}
	return moved, nil
}

// Refused says whether an error of a Redis means that its user may not do that.
func Refused(err error) bool { return redis.IsPermissionError(err) }
