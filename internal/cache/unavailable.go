package cache

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/redis/go-redis/v9"
)

// waiting are the answers by which a Redis says that it cannot serve now, whatever it is asked.
var waiting = []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "MISCONF", "BUSY", "UNBLOCKED", "max number of clients"}

// Unavailable says whether an error of a Redis means that it cannot be reached or cannot serve at the moment. The work
// is not to blame: it is repeated when the server is back, and no attempt is counted.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return false
	}
	for _, prefix := range waiting {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrPoolExhausted) {
		return true
	}
	var network net.Error
	return errors.As(err, &network)
}
