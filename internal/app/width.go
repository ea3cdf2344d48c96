package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/pace"
	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// followEvery is how often a pod looks at the width.
const followEvery = 500 * time.Millisecond

// published is how long a decision about the width can be read: pods stop believing it long before.
const published = time.Minute

// widthChannel carries the width over the queue's Redis.
type widthChannel struct{ redis redis.UniversalClient }

func (c widthChannel) Publish(ctx context.Context, p pace.Published) error {
	text, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode the width: %w", err)
	}
	if err := c.redis.Set(ctx, redisconn.WidthKey, text, published).Err(); err != nil {
		return fmt.Errorf("publish the width: %w", err)
	}
	return nil
}

func (c widthChannel) Published(ctx context.Context) (*pace.Published, error) {
	text, err := c.redis.Get(ctx, redisconn.WidthKey).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil //nolint:nilnil // nothing was published
	}
	if err != nil {
		return nil, fmt.Errorf("read the width: %w", err)
	}
	var p pace.Published
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("read the width: %w", err)
	}
	return &p, nil
}

// pacer is what this pod has heard of the width.
type pacer struct {
	mu     sync.Mutex
	last   *pace.Published
	heard  time.Time
	share  int
	paused bool
	reason string
}

// hear takes what was read and decides this pod's share. Of two leaders at a time the newer is believed.
func (p *pacer) hear(read *pace.Published, now time.Time, decide func(last *pace.Published, heard time.Time) (int, bool, string)) (share int, changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if read != nil && (p.last == nil || read.Newer(*p.last)) {
		p.last, p.heard = read, now
	}
	was := p.share
	p.share, p.paused, p.reason = decide(p.last, p.heard)
	return p.share, p.share != was
}

// held says why no page may be begun now, or "".
func (p *pacer) held() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.paused {
		return ""
	}
	return "all work is held: " + p.reason
}

// inForce is what a pod goes by.
type inForce struct {
	last   *pace.Published // nil: nothing was heard, or nothing for so long that it is not believed any more
	share  int
	reason string
}

func (p *pacer) now() inForce {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := inForce{last: p.last, share: p.share, reason: p.reason}
	if time.Since(p.heard) > pace.Silence {
		f.last = nil
	}
	return f
}

// follow reads the width and resizes the pool to the pod's share. A queue that does not answer is silence: after a while
// the pod works with width.min.
func (a *App) follow(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	read, err := widthChannel{a.queueDB}.Published(ctx)
	now := time.Now()
	share, changed := a.pacer.hear(read, now, func(last *pace.Published, heard time.Time) (int, bool, string) {
		return pace.Share(last, heard, now, a.id, a.cfg.Width)
	})
	if last := a.pacer.now().last; last != nil {
		a.feelings.Quiet(last.Result.Width <= a.cfg.Width.Min || last.Demand.Slots == 0)
	}
	if changed {
		a.log.InfoContext(ctx, "slots", "share", share, "reason", a.pacer.now().reason)
	}
	return errors.Join(err, a.pool.Resize(share))
}

func (a *App) learn(dataset string, rows, bytes int64, took time.Duration) {
	a.learner.Learn(dataset, pace.Sample{Rows: rows, Bytes: bytes, Time: took}, time.Now())
}

func (a *App) flushRates(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	return a.learner.Flush(ctx)
}
