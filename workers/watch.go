package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/queue"
	"github.com/prewarm-go/prewarm/tasks"
)

const (
	// watchEvery is how often a pod asks for the switches and the standing of what it has in hand: a pause or a cancel is
	// to be felt in the whole cluster within a second, also by a pod that did not hear of it.
	watchEvery = 250 * time.Millisecond
	// watchWithin bounds one look.
	watchWithin = 2 * time.Second
)

// errCalledOff breaks off a page that is being read or written.
var errCalledOff = fmt.Errorf("%w: it was cancelled, or taken over", ledger.ErrFenced)

// Look looks once at what the pod has in hand, and whether everything is paused. A unit whose claim does not stand any more is broken off, in the
// middle of a page; one that is paused stops at its next page. A pod that has nothing in hand learns of a pause of everything from its next task.
func (h *LoadHandler) Look(ctx context.Context) error {
	held := h.hands.claims()
	if len(held) == 0 && h.paused.Load() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, watchWithin)
	defer cancel()
	claims := make([]ledger.Claimed, 0, len(held))
	for c := range held {
		claims = append(claims, c)
	}
	standing, err := h.Ledger.Standing(ctx, claims)
	if err != nil {
		return err
	}
	switches, err := h.Ledger.Switches(ctx)
	if err != nil {
		return err
	}
	var all *string
	for _, w := range switches {
		why := w.String()
		if w.Kind == ledger.ScopeAll {
			all = &why
		}
		for _, hand := range held {
			if w.Covers(hand.shop, hand.run, hand.dataset) {
				hand.paused.Store(&why)
			}
		}
	}
	h.paused.Store(all)
	for c, hand := range held {
		if !standing[c] {
			hand.stop(errCalledOff)
		}
	}
	return nil
}

// cancellations is where asynq 0.26 publishes the id of a task that somebody cancels, as in asynqmon.
const cancellations = "asynq:cancel"

// Signals has a pod look at the switches, and hears what is said to all pods: that a switch was turned, and that a task was cancelled in asynqmon. asynq alone
// would take the latter for a failed attempt; here it cancels the task's run. Every pod hears it and the first one does it.
type Signals struct {
	Client redis.UniversalClient
	Look   func(ctx context.Context) error // at the switches and the standing of what the pod has in hand, now
	Cancel func(ctx context.Context, run string, by ledger.By) error
	Log    *slog.Logger
}

// Watch looks again and again until the context ends.
func (s *Signals) Watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.Look(ctx); err != nil && ctx.Err() == nil {
			s.Log.DebugContext(ctx, "look at the switches; it is tried again", "error", err)
		}
	}
}

// Run listens until the context ends.
func (s *Signals) Run(ctx context.Context) {
	sub := s.Client.Subscribe(ctx, cancellations, queue.SwitchChannel)
	defer func() { _ = sub.Close() }()
	messages := sub.Channel() // reconnects by itself
	for {
		select {
		case <-ctx.Done():
			return
		case m, ok := <-messages:
			if !ok {
				return
			}
			if err := s.hear(ctx, m); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "act on a signal", "channel", m.Channel, "error", err)
			}
		}
	}
}

func (s *Signals) hear(ctx context.Context, m *redis.Message) error {
	if m.Channel == queue.SwitchChannel {
		return s.Look(ctx)
	}
	run, ok := tasks.RunOf(m.Payload)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, watchWithin)
	defer cancel()
	err := s.Cancel(ctx, run, ledger.By{Who: "asynqmon", Why: "the task " + m.Payload + " was cancelled in asynqmon"})
	if errors.Is(err, ledger.ErrState) || errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	return err
}
