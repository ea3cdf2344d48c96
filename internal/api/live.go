package api

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"
)

// Limits of the live stream.
const (
	liveEvery   = 2 * time.Second // between two readings; a reading is also the stream's heartbeat
	liveTime    = 5 * time.Second // of one reading
	liveClients = 200             // of one pod
	liveBehind  = 16              // events that a client may be behind before it has to begin anew
)

// live reads the evening for all who look at it: one reading every two seconds while there is anybody, and none else.
type live struct {
	read    func(ctx context.Context) (*reading, error)
	history History

	mu      sync.Mutex
	clients map[chan []byte]struct{}
	last    *reading
	sampled time.Time // of the newest sample that was sent
	stop    context.CancelFunc
	closed  bool
	loops   sync.WaitGroup
}

// join answers the events of a client, the whole evening first. ok is false if there are too many clients, or the pod
// stops. The channel is closed when the client has fallen behind or the pod stops.
func (l *live) join() (events chan []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.clients) >= liveClients {
		return nil, false
	}
	events = make(chan []byte, liveBehind)
	if len(l.clients) == 0 {
		l.clients = map[chan []byte]struct{}{}
		ctx, stop := context.WithCancel(context.Background())
		l.stop, l.last = stop, nil
		l.loops.Go(func() { l.run(ctx) })
	}
	if l.last != nil {
		events <- event("tonight", l.last.whole(l.history.Samples(time.Time{})))
	}
	l.clients[events] = struct{}{}
	return events, true
}

// leave takes a client away. It may have been taken away before.
func (l *live) leave(events chan []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(events)
}

func (l *live) drop(events chan []byte) {
	if _, ok := l.clients[events]; !ok {
		return
	}
	delete(l.clients, events)
	close(events)
	if len(l.clients) == 0 {
		l.stop()
	}
}

// close ends all streams, and lets nobody join any more.
func (l *live) close() {
	l.mu.Lock()
	l.closed = true
	for events := range l.clients {
		l.drop(events)
	}
	l.mu.Unlock()
	l.loops.Wait()
}

func (l *live) run(ctx context.Context) {
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		l.once(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// once reads the evening and tells all clients what is new. Those who joined before the first reading get all of it.
func (l *live) once(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, liveTime)
	defer cancel()
	r, err := l.read(bounded)
	l.mu.Lock()
	defer l.mu.Unlock()
	if ctx.Err() != nil { // all have left; the next to join has a loop of their own
		return
	}
	var text []byte
	switch {
	case err != nil:
		text = event("trouble", map[string]any{"at": time.Now().UTC(), "detail": err.Error()})
	case l.last == nil:
		text, l.last = event("tonight", r.whole(l.samples(time.Time{}))), r
	default:
		text, l.last = event("change", r.since(l.last, l.samples(l.sampled))), r
	}
	for events := range l.clients {
		select {
		case events <- text:
		default:
			l.drop(events)
		}
	}
}

// samples are those that were not sent yet. A client that has joined meanwhile has some of them: they have times.
func (l *live) samples(after time.Time) []Sample {
	samples := l.history.Samples(after)
	if len(samples) > 0 {
		l.sampled = samples[len(samples)-1].At
	}
	return samples
}

// event is a server-sent event.
func event(name string, data any) []byte {
	var b bytes.Buffer
	b.WriteString("event: " + name + "\ndata: ")
	_ = json.NewEncoder(&b).Encode(data) // on one line, which it ends
	b.WriteByte('\n')
	return b.Bytes()
}
