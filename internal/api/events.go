package api

import (
	"net/http"
	"time"
)

// Limits of one client's stream.
const (
	streamTime = time.Hour        // then the client has to come again, and show again who it is
	sendTime   = 15 * time.Second // a client that takes no byte for so long is gone
)

// events streams the evening as server-sent events: `tonight` with everything, then `change` with what is new, or
// `trouble` when it cannot be read. Whoever connects again begins with everything, so that nothing can be missed.
func (a *API) events(w http.ResponseWriter, r *http.Request) {
	events, ok := a.live.join()
	if !ok {
		w.Header().Set("Retry-After", "5")
		problem(w, http.StatusServiceUnavailable, "too many boards are open on this pod, or it is stopping; ask again, or another pod")
		return
	}
	defer a.live.leave(events)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // of nginx, which would hold events back
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Time{}) // the server's would end the stream
	end := time.NewTimer(streamTime)
	defer end.Stop()
	text := []byte("retry: 2000\n\n")
	for {
		_ = conn.SetWriteDeadline(time.Now().Add(sendTime))
		if _, err := w.Write(text); err != nil {
			return
		}
		if conn.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-end.C:
			return
		case text, ok = <-events:
			if !ok {
				return
			}
		}
	}
}
