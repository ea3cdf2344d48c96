package workers

import (
	"context"
	"errors"
	"sync"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// unitKey names a unit.
type unitKey struct {
	run         string
	epoch, unit int
}

// hands are the units that this pod works on, each from before its claim until after its last write.
type hands struct {
	mu   sync.Mutex
	held map[unitKey]int
}

func (h *hands) take(k unitKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		h.held = map[unitKey]int{}
	}
	h.held[k]++
}

func (h *hands) drop(k unitKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held[k]--; h.held[k] == 0 {
		delete(h.held, k)
	}
}

func (h *hands) has(k unitKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held[k] > 0
}

// Strays lets go of units that the ledger says this pod holds and that it does not: the reply to a claim was lost, or
// the ledger did not answer when an attempt's end was to be recorded. Nobody else would take them as long as the pod
// lives. A unit that ends while this looks is fenced and left alone.
func (h *LoadHandler) Strays(ctx context.Context) error {
	units, err := h.Ledger.Held(ctx, h.Pod)
	if err != nil {
		return err
	}
	for _, u := range units {
		if h.hands.has(unitKey{u.RunID, u.Epoch, u.Unit}) {
			continue
		}
		settled, err := h.Ledger.TakeOver(ctx, u, h.Retry.Attempts, "the end of an attempt could not be recorded")
		if errors.Is(err, ledger.ErrFenced) {
			continue
		}
		if err != nil {
			return err
		}
		h.Log.WarnContext(ctx, "let go of a unit that nobody worked on", "run", u.RunID, "unit", u.Unit)
		if err := h.Settler.Settle(ctx, u.RunID, settled); err != nil {
			return err
		}
	}
	return nil
}
