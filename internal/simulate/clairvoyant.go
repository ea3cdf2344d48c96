package simulate

import (
	"math"
	"slices"
	"time"
)

// job is a broadcast as one sees it who knows the evening beforehand: true amounts, in seconds from its beginning.
type job struct {
	release, due float64
	left         float64
	parallel     float64
}

// jobs are the broadcasts by their deadlines. Nobody can begin before the announcement or the lead.
func (s *Scenario) jobs() []job {
	all := make([]job, len(s.Broadcasts))
	for i, b := range s.Broadcasts {
		release := b.Announced
		if b.Earliest.After(release) {
			release = b.Earliest
		}
		j := job{release: release.Sub(s.Begin).Seconds(), due: b.Deadline.Sub(s.Begin).Seconds()}
		for d, rows := range b.Rows {
			j.left += float64(rows) * s.RowSeconds[d]
			j.parallel += math.Ceil(float64(rows) / float64(s.UnitRows))
		}
		all[i] = j
	}
	slices.SortStableFunc(all, func(a, b job) int {
		switch {
		case a.due < b.due:
			return -1
		case a.due > b.due:
			return 1
		}
		return 0
	})
	return all
}

// peak is the greatest need as a share of a capacity: the processor-demand bound over all intervals that begin with a
// release and end with a deadline.
func peak(jobs []job, capacity float64) float64 {
	byRelease := slices.Clone(jobs)
	slices.SortFunc(byRelease, func(a, b job) int {
		switch {
		case a.release > b.release:
			return -1
		case a.release < b.release:
			return 1
		}
		return 0
	})
	most, done := 0.0, math.NaN()
	for _, end := range jobs {
		if end.due == done {
			continue
		}
		done = end.due
		sum := 0.0
		for _, j := range byRelease {
			if j.due <= end.due && j.release < end.due {
				sum += j.left
				most = max(most, sum/(end.due-j.release))
			}
		}
	}
	return most / max(capacity, 1e-9)
}

// capacityFloor is what the database has left at the busiest moment of the ordinary live load.
func (s *Scenario) capacityFloor() float64 {
	v, least := server{s}, math.Inf(1)
	for t := s.Begin; t.Before(s.End); t = t.Add(5 * time.Minute) {
		st := state{slow: 1, pods: s.Pods}
		if s.Live != nil {
			st.live = s.Live(t)
		}
		least = min(least, v.capacity(st))
	}
	return least
}

// Feasible says whether somebody who keeps the database exactly at its knee from the first announcement on, and gives
// every slot to the earliest deadline, has everything ready in time (that is optimal when work can be divided at will).
func (s *Scenario) Feasible() bool {
	const dt = 2.0
	v, jobs := server{s}, s.jobs()
	end := s.End.Sub(s.Begin).Seconds()
	first := 0 // all before it are done
	for t := 0.0; t < end && first < len(jobs); t += dt {
		if jobs[first].left <= 0 {
			first++
			t -= dt
			continue
		}
		budget := v.capacity(v.at(s.Begin.Add(time.Duration(t*float64(time.Second))))) * dt
		for i := first; i < len(jobs) && budget > 0; i++ {
			j := &jobs[i]
			if j.left <= 0 || j.release > t {
				continue
			}
			did := min(j.left, j.parallel*dt, budget)
			j.left -= did
			budget -= did
		}
		for i := first; i < len(jobs) && jobs[i].due <= t+dt; i++ {
			if jobs[i].left > 1e-6 {
				return false
			}
		}
	}
	return first >= len(jobs) || !slices.ContainsFunc(jobs[first:], func(j job) bool { return j.left > 1e-6 })
}
