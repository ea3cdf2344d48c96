package refresh

import (
	"context"

	"github.com/prewarm-go/prewarm/internal/ledger"
)

// whileNeeded has keys written for as long as they are needed. If that changes meanwhile they are written again: whoever moved the
// expiries may have been at a key before it was written for the end that it had. needed is false of keys that nobody needs.
func whileNeeded(ctx context.Context, ends func(context.Context) (ledger.Ends, error), write func(ledger.Ends) error) (needed bool, err error) {
	now, err := ends(ctx)
	for err == nil && !now.Needed.IsZero() {
		was := now.Needed
		if err := write(now); err != nil {
			return true, err
		}
		if now, err = ends(ctx); err == nil && now.Needed.Equal(was) {
			return true, nil
		}
	}
	return false, err
}
