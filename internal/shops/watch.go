// Package shops breaks off, in each pod, what is done for a shop that is switched off: planning it, refreshing it, looking it up.
// Units in hand are not its business: their claims stop to stand (workers.LoadHandler.Look).
package shops

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// lookWithin bounds one look.
const lookWithin = 2 * time.Second

// Ledger knows which shops are switched off.
type Ledger interface {
	Off(ctx context.Context) (map[string]*ledger.OffError, error)
}

// Watch is of one pod. It is safe for concurrent use.
type Watch struct {
	Ledger Ledger

	mu   sync.Mutex
	held map[*hold]struct{}
}

// hold is something that is done for a shop.
type hold struct {
	shop string
	stop context.CancelCauseFunc
}

// Enter does something for a shop and breaks it off when the shop is switched off. nil does it, whatever becomes of the shop.
type Enter func(ctx context.Context, shop string, do func(ctx context.Context) error) error

// Do is f, which may be nil.
func (f Enter) Do(ctx context.Context, shop string, do func(ctx context.Context) error) error {
	if f == nil {
		return do(ctx)
	}
	return f(ctx, shop, do)
}

// Enter implements the type of that name. Of a shop that is switched off, or was while it was at work, the error is an *ledger.OffError.
func (w *Watch) Enter(ctx context.Context, shop string, do func(ctx context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	h := &hold{shop, stop}
	w.hold(h) // before it is asked, so that no switch is missed
	defer w.leave(h)
	off, err := w.Ledger.Off(ctx)
	if err != nil {
		return err
	}
	if why := off[shop]; why != nil {
		return why
	}
	err = do(ctx)
	if why := (*ledger.OffError)(nil); err != nil && errors.As(context.Cause(ctx), &why) {
		return why
	}
	return err
}

func (w *Watch) hold(h *hold) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held == nil {
		w.held = map[*hold]struct{}{}
	}
	w.held[h] = struct{}{}
}

func (w *Watch) leave(h *hold) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.held, h)
}

// Look looks once, and breaks off what is done for shops that are switched off. A pod that does nothing does not ask.
func (w *Watch) Look(ctx context.Context) error {
	if len(w.holds()) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	off, err := w.Ledger.Off(ctx)
	if err != nil {
		return err
	}
	for _, h := range w.holds() {
		if why := off[h.shop]; why != nil {
			h.stop(why)
		}
	}
	return nil
}

func (w *Watch) holds() []*hold {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*hold, 0, len(w.held))
	for h := range w.held {
		all = append(all, h)
	}
	return all
}
