package load

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// twin is a replica that is always up to date.
type twin struct {
	at    *source.Bound
	pages *int
}

func (w twin) Next(_ context.Context, known int64) (Pages, string, int64) {
	*w.pages++
	return w.at, "twin", known
}

func (twin) Failed(context.Context, error) {}
func (twin) Close()                        {}

func TestOnlyThePartThatIsKeptIsLoadedWhereverItIsRead(t *testing.T) {
	t.Parallel()
	for name, replica := range map[string]bool{"source": false, "replica": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, testenv.OwnRedis(t).URL, usersTable)
			e.users(t, 1, 30)
			bound, pages := e.bind(t, usersSpec()), 0
			if replica {
				e.Begin = func(string) Elsewhere { return twin{bound, &pages} }
			}
			j := e.job(t, bound, ledger.Unit{})
			j.Parts = []source.Part{{From: `["5"]`, To: `["15"]`}, {From: `["25"]`}}
			_, err := e.Load(t.Context(), j)
			require.NoError(t, err)
			require.Equal(t, replica, pages > 0)
			n, err := e.redis.Exists(t.Context(), "user:1:6", "user:1:15", "user:1:26", "user:1:30").Result()
			require.NoError(t, err)
			require.EqualValues(t, 4, n)
			n, err = e.redis.Exists(t.Context(), "user:1:5", "user:1:16", "user:1:25").Result()
			require.NoError(t, err)
			require.Zero(t, n)
		})
	}
}
