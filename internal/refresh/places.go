package refresh

import (
	"context"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// Places says which caches hold a shop's dataset: those that the ledger has recorded. With none recorded, as while a run is
// planned anew, it is the one that the dataset will be planned for.
type Places struct {
	Ledger *ledger.Store
	Caches []string // of the configuration; where there is one, the ledger is not asked. None: config.MainCache
	Plan   func(d dataset.Spec, shop string) string
}

func (p Places) of(ctx context.Context, shop string, d dataset.Spec) ([]string, error) {
	switch len(p.Caches) {
	case 0:
		return []string{config.MainCache}, nil
	case 1:
		return p.Caches, nil
	}
	places, err := p.Ledger.Places(ctx, shop, d.Name)
	if err == nil && len(places) == 0 {
		places = []string{p.Plan(d, shop)}
	}
	return places, err
}
