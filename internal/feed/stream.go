package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

const (
	streamBatch = 1000            // entries at a time
	streamBlock = 2 * time.Second // how long a read waits for an entry
	streamAgain = 2 * time.Second // how long a stream waits that could not be read
)

// Ledger is where it is kept how far a stream has been read; ledger.ErrNotFound: it never was.
type Ledger interface {
	ReadFeed(ctx context.Context, name string) (ledger.Feed, error)
}

// Taker takes in what a stream tells.
type Taker interface {
	Take(ctx context.Context, changes []change.Change, via string, feed ledger.Feed) error
	// Unread counts messages that tell of nothing.
	Unread(via string, err error)
}

// Stream reads changes from a Redis stream. Every field of an entry that holds a JSON document is read as changes, whatever
// it is called.
type Stream struct {
	Client  redis.UniversalClient
	Name    string // the stream's key
	Ledger  Ledger
	Changes Taker
	Alerts  *alert.Dispatcher
	Log     *slog.Logger
}

// via is what changes of a stream are counted as.
const via = "stream"

// Run reads until the context ends.
func (s *Stream) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.read(ctx)
		if ctx.Err() != nil {
			return
		}
		s.Log.WarnContext(ctx, "read the stream of changes; it is tried again", "stream", s.Name, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(streamAgain):
		}
	}
}

// feed is what the ledger calls the stream.
func (s *Stream) feed() string {
	name := "stream:" + s.Name
	return name[:min(len(name), 64)]
}

// read goes on where the stream was left, until something fails.
func (s *Stream) read(ctx context.Context) error {
	f, err := s.Ledger.ReadFeed(ctx, s.feed())
	first := errors.Is(err, ledger.ErrNotFound)
	if err != nil && !first {
		return err
	}
	at := f.Position
	if first {
		at = "0-0" // from its beginning: what is old costs a look at a row, no more
	} else if err := s.whole(ctx, at); err != nil {
		return err
	}
	for {
		if at, err = s.next(ctx, at); err != nil {
			return err
		}
	}
}

// whole raises an alert if entries behind the place where reading goes on are gone.
func (s *Stream) whole(ctx context.Context, at string) error {
	info, err := s.Client.XInfoStream(ctx, s.Name).Result()
	if err != nil {
		if redis.HasErrorPrefix(err, "ERR no such key") {
			return nil
		}
		return fmt.Errorf("look at the stream: %w", err)
	}
	if !gap(at, info) {
		return nil
	}
	s.Alerts.Raise(ctx, alert.Alert{
		Name: alert.FeedGap, Severity: alert.Critical,
		Summary: fmt.Sprintf("the stream %s lacks entries behind %s, up to which it was read: changes are lost", s.Name, at),
		Remedy:  "run `prewarm audit` over the shops that are warm, and give the stream a longer MAXLEN",
	})
	return nil
}

// gap is pure: whether entries behind a place are gone. Redis tells of those that were deleted one by one; of those that were
// trimmed it is known only that the place itself was among them, which is a gap unless the trimming ended just there.
func gap(at string, info *redis.XInfoStream) bool {
	switch {
	case !older(at, info.LastGeneratedID):
		return false
	case older(at, info.MaxDeletedEntryID) || info.Length == 0:
		return true
	}
	return older(at, info.FirstEntry.ID) && at != info.MaxDeletedEntryID
}

// older compares ids of entries: milliseconds and a number.
func older(a, b string) bool {
	am, an := parts(a)
	bm, bn := parts(b)
	return cmp.Or(cmp.Compare(am, bm), cmp.Compare(an, bn)) < 0
}

func parts(id string) (ms, n uint64) {
	left, right, _ := strings.Cut(id, "-")
	ms, _ = strconv.ParseUint(left, 10, 64)
	n, _ = strconv.ParseUint(right, 10, 64)
	return ms, n
}

// next takes in the entries behind a place, and answers the place behind them.
func (s *Stream) next(ctx context.Context, at string) (string, error) {
	bounded, cancel := context.WithTimeout(ctx, 2*streamBlock)
	defer cancel()
	found, err := s.Client.XRead(bounded, &redis.XReadArgs{Streams: []string{s.Name, at}, Count: streamBatch, Block: streamBlock}).Result()
	if errors.Is(err, redis.Nil) {
		return at, nil
	}
	if err != nil {
		return at, fmt.Errorf("read the stream: %w", err)
	}
	if len(found) == 0 || len(found[0].Messages) == 0 {
		return at, nil
	}
	entries := found[0].Messages
	var changes []change.Change
	for _, e := range entries {
		changes = append(changes, s.changes(e)...)
	}
	last := entries[len(entries)-1].ID
	ms, _ := parts(last)
	f := ledger.Feed{Name: s.feed(), Position: last, Rows: int64(len(changes)), EventAt: time.UnixMilli(int64(min(ms, 1<<52))).UTC()}
	return last, s.Changes.Take(ctx, changes, via, f)
}

// changes are those that an entry tells of.
func (s *Stream) changes(e redis.XMessage) (all []change.Change) {
	documents := 0
	for _, value := range e.Values {
		text, ok := value.(string)
		if text = strings.TrimSpace(text); !ok || !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
			continue
		}
		documents++
		changes, bad, err := change.Parse([]byte(text))
		if err != nil {
			s.Changes.Unread(via, err)
		}
		for _, b := range bad {
			s.Changes.Unread(via, b.Err)
		}
		all = append(all, changes...)
	}
	if documents == 0 {
		s.Changes.Unread(via, change.ErrMalformed)
	}
	return all
}
