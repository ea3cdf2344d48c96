package app

import (
	"context"
	"sync"

	"github.com/prewarm-go/prewarm/internal/lease"
)

// leading campaigns for the lead and, while this pod has it, does all of the jobs.
func (a *App) leading(jobs ...func(context.Context)) func(context.Context) {
	return func(ctx context.Context) {
		lease.NewLeader(a.queueDB, a.id).Run(ctx, func(term context.Context) {
			var wg sync.WaitGroup
			for _, job := range jobs {
				wg.Go(func() { job(term) })
			}
			wg.Wait()
		})
	}
}
