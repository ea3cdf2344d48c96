package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits of what one client may do: so many at once, and then one in so long.
const (
	wrongAtOnce = 10
	wrongEvery  = 6 * time.Second // of logins and tokens that are wrong
	writeAtOnce = 200
	writeEvery  = 50 * time.Millisecond // of requests that change something
	keptClients = 10_000
)

// limiter counts what clients do, each with an allowance of its own.
type limiter struct {
	atOnce int
	every  time.Duration

	mu      sync.Mutex
	clients map[string]time.Time // when the client will have used nothing
}

// wait is how long a client has to wait until it may do it; zero: it may now.
func (l *limiter) wait(client string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	used := max(0, l.clients[client].Sub(now))
	return max(0, used-time.Duration(l.atOnce-1)*l.every)
}

// use counts one. When there are too many clients to remember, those with nothing used are forgotten, and if that does
// not help, all are.
func (l *limiter) use(client string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.clients) >= keptClients {
		for c, free := range l.clients {
			if !free.After(now) {
				delete(l.clients, c)
			}
		}
	}
	if l.clients == nil || len(l.clients) >= keptClients {
		l.clients = map[string]time.Time{}
	}
	free := l.clients[client]
	if free.Before(now) {
		free = now
	}
	l.clients[client] = free.Add(l.every)
}

func tooMany(w http.ResponseWriter, wait time.Duration, detail string) {
	w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	problem(w, http.StatusTooManyRequests, detail)
}
