package simulate

import "time"

// server is the database: it shares its capacity among all that is asked of it. Below the knee everything runs at full
// speed, above it everything is slower in proportion, the live load included.
type server struct {
	s *Scenario
}

// state is what the faults make of the world at a time.
type state struct {
	slow     float64 // share of the capacity that is there
	live     float64 // slots
	pods     int
	thought  int // pods that the leader thinks alive: a dead one is missed after a while
	noLeader bool
	blind    bool
	lie      float64
}

const (
	// missedAfter is how long a dead pod is thought alive: policy.pod_dead.
	missedAfter = 10 * time.Second
	// takenOver is how long a dead pod's units wait for another one: until the next reconciliation after that.
	takenOver = 20 * time.Second
)

func (v server) at(t time.Time) state {
	st := state{slow: 1, pods: v.s.Pods, thought: v.s.Pods}
	if v.s.Live != nil {
		st.live = max(v.s.Live(t), 0)
	}
	for _, f := range v.s.Faults {
		if t.Before(f.From) || !t.Before(f.To) {
			continue
		}
		if f.Slow > 0 {
			st.slow *= f.Slow
		}
		if f.Live > 0 {
			st.live *= f.Live
		}
		st.pods -= f.Pods
		if t.Sub(f.From) >= missedAfter {
			st.thought -= f.Pods
		}
		if f.Lie != 0 { // which one that is not a number is
			st.lie = f.Lie
		}
		st.noLeader = st.noLeader || f.NoLeader
		st.blind = st.blind || f.Blind
	}
	st.pods, st.thought = max(st.pods, 1), max(st.thought, 1)
	return st
}

// slowdown is by what everything takes longer with so many slots at work.
func (v server) slowdown(st state, slots float64) float64 {
	return max(1, (st.live+slots)/(v.s.Knee*st.slow))
}

// capacity is how many slots the database could serve at full speed beside the live load.
func (v server) capacity(st state) float64 {
	carried := float64(min(v.s.Width.Max, st.pods*v.s.Width.MaxPerPod))
	return max(min(v.s.Knee*st.slow-st.live, carried), 0)
}
