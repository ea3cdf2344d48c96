package faults

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestNothingIsLostWhateverBreaks(t *testing.T) {
	if testing.Short() && os.Getenv(testenv.EnvRequire) != "1" {
		t.Skip("evenings take a minute each")
	}
	chosen := choose(t)
	program := build(t, *clocks)
	outcomes := make([]*outcome, *evenings)
	slots := make(chan struct{}, max(1, *atOnce))
	began := time.Now()
	t.Cleanup(func() {
		r := reportOf(slices.DeleteFunc(outcomes, func(o *outcome) bool { return o == nil }), time.Since(began))
		t.Log("\n" + r.String())
		if *output != "" {
			if err := r.write(*output); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("evening", func(t *testing.T) {
		for i := range *evenings {
			s := *seed + uint64(i)
			t.Run("", func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				outcomes[i] = oneEvening(t, program, s, chosen)
			})
		}
	})
}

// choose are the kinds of faults that the flags allow.
func choose(t *testing.T) []fault {
	t.Helper()
	var chosen []fault
	listed := func(list, name string) bool { return slices.Contains(strings.Split(list, ","), name) }
	for _, f := range allFaults {
		if f.clock && !*clocks || *only != "" && !listed(*only, f.name) || listed(*without, f.name) {
			continue
		}
		chosen = append(chosen, f)
	}
	require.NotEmpty(t, chosen, "no fault is left")
	return chosen
}

func oneEvening(t *testing.T, program string, seed uint64, chosen []fault) *outcome {
	t.Helper()
	e := newEvening(t, program, seed)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	out := e.run(ctx, planOf(seed, *perNight, *length, chosen))
	for _, p := range e.problems {
		text, _, _ := strings.Cut(p.String(), "\n")
		if n := e.counts[p.Kind]; n > 1 {
			text += fmt.Sprintf(" (one of %d)", n)
		}
		out.Problems = append(out.Problems, text)
		t.Errorf("seed %d: %s (one of %d)", seed, p, e.counts[p.Kind])
	}
	if len(e.problems) > 0 || *keep {
		e.save(ctx)
		t.Logf("logs and the ledger are in %s; once more: make faults SEED=%d EVENINGS=1 FAULTS=%d", e.dir, seed, *perNight)
	} else {
		out.Dir, e.good = "", true
	}
	t.Logf("seed %d: %.0f s, %d broadcasts %v, %d rows checked, %d sent, %d again, rest after %.1f s, %d edits", seed, out.Seconds, out.Broadcasts, out.States,
		out.Checked, out.Sent, out.Redone, out.Rest, out.Edits)
	return out
}
