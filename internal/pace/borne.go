package pace

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/prewarm-go/prewarm/internal/guard"
)

// What Borne goes by, in decisions.
const (
	// borneMemory is how many decisions the average remembers: two hours, so that a surge of ten minutes hardly moves it.
	borneMemory = int(2 * time.Hour / Tick)
	// borneLeast is how many it takes to be known: five minutes.
	borneLeast = int(5 * time.Minute / Tick)
	// borneFor is how long it is believed that nothing has confirmed: the same evening of last week still counts.
	borneFor = 8 * 24 * time.Hour
	// borneKey is where it stands beside the signals' usual levels.
	borneKey = "width"
)

// Borne is the width that the servers were found to bear, on average over the time in which they bound the width: what planning
// knows of the ceiling before anything runs. It bounds plans and verdicts and never the width itself, so that one that has
// become wrong is found out as soon as a need is greater.
type Borne struct {
	Slots   float64   `json:"value"`
	Samples int       `json:"samples"`
	At      time.Time `json:"at"` // of the newest
}

// known is how many slots planning counts on; ok is false if nothing is known.
func (b Borne) known(now time.Time) (slots int, ok bool) {
	if b.Samples < borneLeast || !(b.Slots >= 1) || math.IsInf(b.Slots, 0) || now.Sub(b.At) > borneFor {
		return 0, false
	}
	return int(math.Round(b.Slots)), true
}

// learn is pure: what a decision tells. That is the width at which the guard keeps the work, or a greater one that it lets pass
// while it is needed. A shrink and the way back from it, a crowd, and what cannot be seen tell nothing.
func (b Borne) learn(s State, in Input, r Result) Borne {
	found := 0
	edge := in.Guard.Zone == guard.Hold || in.Guard.Zone == guard.Grow && s.Knee > 0 && s.Limit+1 >= s.Knee
	switch {
	case in.Guard.Blind:
	case edge && r.Bound && r.Binds == BindsGuard:
		found = s.Limit
	case in.Guard.Zone == guard.Grow && float64(r.Width) > b.Slots && b.Samples > 0 && in.Demand.width() >= near*float64(r.Width):
		found = r.Width
	}
	if found == 0 {
		return b
	}
	if _, ok := b.known(in.Now); !ok && b.Samples >= borneLeast {
		b = Borne{}
	}
	b.Samples = min(max(b.Samples, 0)+1, borneMemory)
	b.Slots += (float64(found) - b.Slots) / float64(b.Samples)
	b.At = in.Now
	return b
}

// Bore is what was learned of an earlier evening: so many slots.
func Bore(slots int, at time.Time) Borne {
	return Borne{Slots: float64(slots), Samples: borneMemory, At: at}
}

// readBorne reads what was kept beside the signals' usual levels.
func readBorne(ctx context.Context, l Ledger) (Borne, error) {
	text, err := l.Baselines(ctx)
	if err != nil || text == nil {
		return Borne{}, err
	}
	var kept map[string]Borne
	if err := json.Unmarshal(text, &kept); err != nil {
		return Borne{}, fmt.Errorf("read what width the servers bore: %w", err)
	}
	return kept[borneKey], nil
}

// keep writes down what was learned, for the next evening and the next leader.
func (l *Loop) keep(ctx context.Context) error {
	levels := map[string]any{borneKey: l.state.Borne}
	for signal, base := range l.Watch.Baselines() {
		if signal != borneKey {
			levels[signal] = base
		}
	}
	return l.Ledger.SetBaselines(ctx, levels)
}
