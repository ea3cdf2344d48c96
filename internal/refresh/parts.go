package refresh

import (
	"context"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/load"
	"github.com/prewarm-go/prewarm/internal/source"
)

// keptParts are the parts of a shop's dataset that the runs in the cache keep; none: all of it. A row that none of them keeps is not
// loaded, and when it is told of, whatever stands under its key goes: the next reader finds what is true in the source.
func keptParts(ctx context.Context, on *ledger.Store, shop, dataset string) (parts []source.Part, err error) {
	kept, err := on.KeptParts(ctx, shop, dataset)
	for _, p := range kept {
		parts = append(parts, load.Kept(p))
	}
	return parts, err
}
