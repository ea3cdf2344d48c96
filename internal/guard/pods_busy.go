package guard

import (
	"fmt"
	"time"
)

// PodsBusy is how many times as long our pods take to receive a page and encode its rows as its server takes to give it, the way between
// them left out: the median over the pods that load. One or two is what the work itself takes. It rises when more is to be done in a pod than
// its processors do, and then more slots make each other wait and load no more rows, however well the servers are. It is no word on them:
// Worst leaves it out. Silent when nothing is loaded, and where the servers' own time is not known (package stamp). hold is from where on the
// width does not grow; on two cores, of which one was that of pods and Redis, two slots were at 4 to 9 and did as much as 16 at 20 to 50, and one
// slot, with 2.3 to 3.6 and 3.1 mostly, did as much as two.
func PodsBusy(hold float64) *Gauge {
	return &Gauge{Name: "pods_busy", Own: true, Above0: true, Pods: true, Near: busyNear, Limits: Limits{Hold: hold, Smooth: 0.3}, Show: func(v float64) string { return fmt.Sprintf("%.1f x its servers' time", v) }}
}

// busyNear is the part of the threshold from which on pods have so much to do that more slots may bring nothing.
const busyNear = 1.0 / 3

// leastServed is the least time of pages that a pod's busyness is told from.
const leastServed = 5 * time.Millisecond

// Busy adds up pages. The zero value has seen none.
type Busy struct{ served, had time.Duration }

// Page adds a page: how long it took its server, and until we had it. trip is the way there and back.
func (b Busy) Page(served, had, trip time.Duration) Busy {
	if served < had { // or the server's own time is not known
		b.served += max(served-trip, served/10)
		b.had += max(had-trip, had/10)
	}
	return b
}

// Times is how many times as long we took; 0: too little was seen.
func (b Busy) Times() float64 {
	if b.served < leastServed {
		return 0
	}
	return b.had.Seconds() / b.served.Seconds()
}
