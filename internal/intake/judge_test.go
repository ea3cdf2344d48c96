package intake

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// silent is a source that does not answer for one shop.
type silent struct {
	fakeShops
	shop string
}

func (s silent) Estimate(ctx context.Context, shop string) (map[string]int64, error) {
	if shop == s.shop {
		return nil, errors.New("no answer")
	}
	return s.fakeShops.Estimate(ctx, shop)
}

func TestWhatIsToBeLoadedGetsItsVerdictAndAcceptingNeverFailsForIt(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.Shops = silent{e.Shops.(fakeShops), "1002"}
	var asked []Judged
	var fail error
	e.Judge = func(_ context.Context, runs []Judged) ([]*Verdict, error) {
		asked = runs
		verdicts := make([]*Verdict, len(runs))
		for i, r := range runs {
			if r.Rows != nil {
				verdicts[i] = &Verdict{State: "feasible", Reason: r.RunID}
			}
		}
		return verdicts, fail
	}
	a := e.send(t, e.broadcast("1001"), e.broadcast("1002"), e.broadcast("7"))
	require.Equal(t, []string{Accepted, Accepted, Skipped}, []string{a[0].Outcome, a[1].Outcome, a[2].Outcome})
	require.Len(t, asked, 2, "nothing is to be loaded of a shop that is skipped")
	require.Equal(t, map[string]int64{"users": 10_000}, asked[0].Rows)
	require.Equal(t, e.now.Add(7*time.Hour).Add(-e.Policy.ReadyBefore), asked[0].Times.Deadline)
	require.Equal(t, &Verdict{State: "feasible", Reason: a[0].RunID}, a[0].Verdict)
	require.Equal(t, Unknown, a[1].Verdict.State)
	require.Contains(t, a[1].Verdict.Reason, "not estimated yet")
	require.Nil(t, a[2].Verdict)

	again := e.send(t, e.broadcast("1001"))
	require.Equal(t, Duplicate, again[0].Outcome)
	require.Nil(t, again[0].Verdict)

	fail = errors.New("the ledger is away")
	later := e.broadcast("1001")
	later.StartsAt, later.EndsAt = later.StartsAt.Add(time.Hour), later.EndsAt.Add(time.Hour)
	moved := e.send(t, later)
	require.Equal(t, Rescheduled, moved[0].Outcome)
	require.Equal(t, Unknown, moved[0].Verdict.State)
}
