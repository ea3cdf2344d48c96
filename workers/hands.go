package workers

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// unitKey names a unit.
type unitKey struct {
	run         string
	epoch, unit int
}

// hand is one unit that this pod works on, from before its claim until after its last write.
type hand struct {
	unitKey
	shop    string
	dataset string
	stop    context.CancelCauseFunc
	claim   int64 // 0: not claimed yet; guarded by hands.mu
	paused  atomic.Pointer[string]
}

// hands are the units that this pod works on.
type hands struct {
	mu   sync.Mutex
	held map[*hand]struct{}
}

func (h *hands) take(k unitKey, shop, dataset string, stop context.CancelCauseFunc) *hand {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		h.held = map[*hand]struct{}{}
	}
	one := &hand{unitKey: k, shop: shop, dataset: dataset, stop: stop}
	h.held[one] = struct{}{}
	return one
}

func (h *hands) claimed(one *hand, claim int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	one.claim = claim
}

func (h *hands) drop(one *hand) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, one)
}

func (h *hands) has(k unitKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for one := range h.held {
		if one.unitKey == k {
			return true
		}
	}
	return false
}

// claims are those of the hands that have claimed their unit.
func (h *hands) claims() map[ledger.Claimed]*hand {
	h.mu.Lock()
	defer h.mu.Unlock()
	claims := map[ledger.Claimed]*hand{}
	for one := range h.held {
		if one.claim > 0 {
			claims[ledger.Claimed{RunID: one.run, Epoch: one.epoch, Unit: one.unit, Claim: one.claim}] = one
		}
	}
	return claims
}

// Strays lets go of units that the ledger says this pod holds and that it does not: the reply to a claim was lost, or
// the ledger did not answer when an attempt's end was to be recorded. Nobody else would take them as long as the pod
// lives. It was a server's fault, so the attempt does not count. A unit that ends while this looks is fenced and left
// alone.
func (h *LoadHandler) Strays(ctx context.Context) error {
	units, err := h.Ledger.Held(ctx, h.Pod)
	if err != nil {
		return err
	}
	for _, u := range units {
		if h.hands.has(unitKey{u.RunID, u.Epoch, u.Unit}) {
			continue
		}
		err := h.Ledger.HandBack(ctx, u, "the end of an attempt could not be recorded")
		if errors.Is(err, ledger.ErrFenced) {
			continue
		}
		if err != nil {
			return err
		}
		h.Log.WarnContext(ctx, "let go of a unit that nobody worked on", "run", u.RunID, "unit", u.Unit)
	}
	return nil
}
