package check

import (
	"sort"
	"sync"
	"time"
)

// History is what versions the source's rows had, and when. It is safe for concurrent use.
type History struct {
	mu    sync.Mutex
	edits map[string][]edit // by key, oldest first
	loose map[string]bool
}

type edit struct {
	version int64
	seen    time.Time // whoever began to read after it saw this version or a newer one
}

// NewHistory knows nothing yet: a row that it does not know had version 0 all the time.
func NewHistory() *History { return &History{edits: map[string][]edit{}, loose: map[string]bool{}} }

// Edited: the change to this version was acknowledged at this time. A row's versions only grow.
func (h *History) Edited(row string, version int64, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.edits[row] = append(h.edits[row], edit{version, at})
}

// Loose marks a row that was inserted or removed during the evening: it may be in the cache or not.
func (h *History) Loose(row string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loose[row] = true
}

func (h *History) isLoose(row string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.loose[row]
}

// at is the newest version that was acknowledged before a time.
func (h *History) at(row string, t time.Time) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	edits := h.edits[row]
	i := sort.Search(len(edits), func(i int) bool { return !edits[i].seen.Before(t) })
	if i == 0 {
		return 0
	}
	return edits[i-1].version
}
