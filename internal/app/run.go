package app

import (
	"context"
	"errors"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

const (
	// beatEvery is the time between two heartbeats; policy.pod_dead must be a few of them.
	beatEvery = 2 * time.Second
	// straysEvery is how many heartbeats lie between two looks for units that are nobody's.
	straysEvery = 5
	// drainShare is the part of a stop's time that work in hand gets before it is broken off.
	drainShare = 0.6
	// drainDefault is that time if the stop has no limit.
	drainDefault = 25 * time.Second
)

// run starts everything. The first heartbeat comes before any work is taken, or the work would look orphaned.
func (a *App) run(ctx context.Context) error {
	if err := a.beat(ctx); err != nil {
		return err
	}
	if err := a.follow(ctx); err != nil {
		return err
	}
	loops, end := context.WithCancel(context.WithoutCancel(ctx))
	a.endLoop = end
	a.loops.Go(func() { a.pulse(loops) })
	a.loops.Go(func() { a.keepUp(loops) })
	a.loops.Go(func() { a.lead(loops) })
	for _, loop := range a.watch {
		a.loops.Go(func() { loop(loops) })
	}
	if err := a.server.Start(); err != nil {
		return err
	}
	return a.api.Start(ctx)
}

// pulse beats, and does what is done now and then.
func (a *App) pulse(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := a.beat(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "heartbeat; without it others take this pod's work over", "error", err)
		}
		if err := a.remember(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "remember the evening for the board", "error", err)
		}
		if n%straysEvery != 0 {
			continue
		}
		if err := a.flushRates(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "keep what was learned; it is tried again", "error", err)
		}
		if err := a.lookForStrays(ctx); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "look for stray units; it is tried again", "error", err)
		}
	}
}

// keepUp keeps the pod's slots at its share of the width.
func (a *App) keepUp(ctx context.Context) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := a.follow(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			a.log.WarnContext(ctx, "follow the width", "error", err)
		}
		failed = err != nil
	}
}

func (a *App) lookForStrays(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, straysEvery*beatEvery)
	defer cancel()
	return a.strays(ctx)
}

// beat says that the pod lives.
func (a *App) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, beatEvery)
	defer cancel()
	if err := a.ledger.Beat(ctx, ledger.Pod{ID: a.id, Version: a.opts.Version, Slots: a.pool.Size(), Rows: a.loading.Written()}); err != nil {
		return err
	}
	return nil
}

// Stop drains the pod: no new work is begun, units in hand are handed back at their next page, then all is closed. Work
// that has not ended in good time before ctx does is broken off. It may be called any number of times.
func (a *App) Stop(ctx context.Context) (err error) {
	a.stop.Do(func() { err = a.halt(ctx) })
	return err
}

func (a *App) halt(ctx context.Context) error {
	grace := drainDefault
	if limit, ok := ctx.Deadline(); ok {
		grace = time.Duration(float64(time.Until(limit)) * drainShare)
	}
	close(a.drain)
	var errs []error
	if a.api != nil {
		errs = append(errs, a.api.Stop(ctx))
	}
	if a.server != nil {
		a.server.Stop(grace)
	}
	if a.pool != nil {
		a.pool.Stop(grace)
		a.handlers()
	}
	if a.endLoop != nil {
		a.endLoop()
	}
	a.loops.Wait()
	if a.endLoop != nil { // it had started, so it may have a heartbeat to take back
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatEvery)
		defer cancel()
		errs = append(errs, a.ledger.Leave(bounded, a.id))
	}
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	return errors.Join(errs...)
}
