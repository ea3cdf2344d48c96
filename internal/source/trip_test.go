package source

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheRoundTripIsMeasuredOrSaidToFail(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	trip, err := e.RoundTrip(t.Context())
	require.NoError(t, err)
	require.Positive(t, trip)
	require.Less(t, trip, time.Minute)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = e.RoundTrip(gone)
	require.ErrorIs(t, err, context.Canceled)
}
