package shops_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/shops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// turned is a ledger of nothing but switches.
type turned struct {
	mu  sync.Mutex
	off map[string]*ledger.OffError
	err error
	n   int
}

func (o *turned) Off(context.Context) (map[string]*ledger.OffError, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n++
	return o.off, o.err
}

func (o *turned) asked() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n
}

func (o *turned) set(off map[string]*ledger.OffError, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.off, o.err = off, err
}

func TestWhatIsDoneForAShopIsBrokenOffWhenItIsSwitchedOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		off := &turned{}
		w := &shops.Watch{Ledger: off}
		go func() {
			tick := time.NewTicker(250 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-t.Context().Done():
					return
				case <-tick.C:
					_ = w.Look(t.Context())
				}
			}
		}()
		why := &ledger.OffError{Shop: ledger.Shop{ID: "1001"}}
		begun := time.Now()
		go func() {
			time.Sleep(10 * time.Second)
			off.set(nil, errors.New("the ledger is away"))
			time.Sleep(time.Second)
			off.set(map[string]*ledger.OffError{"1001": why}, nil)
		}()
		var other sync.WaitGroup
		other.Go(func() {
			require.NoError(t, w.Enter(t.Context(), "10011", func(ctx context.Context) error {
				time.Sleep(time.Minute)
				return ctx.Err()
			}))
		})
		err := w.Enter(t.Context(), "1001", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		require.ErrorIs(t, err, error(why))
		require.LessOrEqual(t, time.Since(begun), 11*time.Second+250*time.Millisecond)
		require.ErrorIs(t, w.Enter(t.Context(), "1001", func(context.Context) error { return errors.New("was begun") }), error(why))
		other.Wait()
		synctest.Wait() // a look may begin in the moment in which the work ends
		asked := off.asked()
		time.Sleep(time.Minute)
		require.Equal(t, asked, off.asked(), "who does nothing asks nothing")
	})
}

func TestAnErrorOfItsOwnStaysWhatItIs(t *testing.T) {
	t.Parallel()
	w := &shops.Watch{Ledger: &turned{}}
	own := errors.New("no such table")
	require.ErrorIs(t, w.Enter(t.Context(), "1001", func(context.Context) error { return own }), own)
	require.ErrorIs(t, shops.Enter(nil).Do(t.Context(), "1001", func(context.Context) error { return own }), own)
	w.Ledger = &turned{err: own}
	require.ErrorIs(t, w.Enter(t.Context(), "1001", func(context.Context) error { return nil }), own, "who cannot ask does not begin")
}
