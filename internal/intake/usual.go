package intake

import (
	"fmt"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

const (
	// usualWeeks is how many same weekdays before a day say what is usual of it.
	usualWeeks = 4
	// leastWeeks is of how many of them something must be known.
	leastWeeks = 2
)

// usual is what is usual of a weekday.
type usual struct {
	first, last time.Duration // of the first and last request that brings something, since midnight by the clock
	wobble      time.Duration // by how much these times differ from week to week
	accepted    int           // broadcasts
	least       int           // of any of these days
}

// usually is pure: what the same weekdays before a day say. ok is false if they say too little: there are fewer than two, or on
// half of them or more nothing came.
func usually(days []ledger.IntakeDay) (u usual, ok bool) {
	var firsts, lasts []time.Duration
	counts := make([]int, len(days))
	for i, d := range days {
		if counts[i] = d.Accepted; d.Accepted > 0 {
			firsts, lasts = append(firsts, clock(d.First)), append(lasts, clock(d.Last))
		}
	}
	if len(firsts) < leastWeeks || 2*len(firsts) <= len(days) {
		return usual{}, false
	}
	u = usual{first: median(firsts), last: median(lasts), accepted: median(counts), least: slices.Min(counts)}
	u.wobble = 2 * max(spread(firsts, u.first), spread(lasts, u.last))
	return u, true
}

// clock is what a clock on the wall says.
func clock(t time.Time) time.Duration {
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
}

// median is the middle one, of two the one below: it is there, and not made of two that are far apart.
func median[T int | time.Duration](all []T) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)/2]
}

// spread is the median of the distances from the median, which one odd day does not move.
func spread(all []time.Duration, from time.Duration) time.Duration {
	apart := make([]time.Duration, len(all))
	for i, t := range all {
		apart[i] = (t - from).Abs()
	}
	slices.Sort(apart)
	return apart[len(apart)/2]
}

// finding is what is wrong with a day's announcements; the zero value: nothing.
type finding struct {
	name   string // of the alert
	reason string
	late   time.Duration // by how much the first request is
}

// judgeDay is pure: what is wrong with today's announcements, at a time of the day.
func judgeDay(now time.Time, today ledger.IntakeDay, u usual, w config.IntakeWatch) finding {
	at, wait := clock(now), w.LateAfter+u.wobble
	came := fmt.Sprintf("on other %ss the first come about %s and the last about %s, some %d broadcasts in all", now.Weekday(), hours(u.first), hours(u.last), u.accepted)
	switch {
	case today.Accepted == 0 && at > u.last+wait:
		return finding{alert.IntakeEmpty, "no broadcast was announced today; " + came, at - u.first}
	case today.Accepted == 0 && at > u.first+wait:
		return finding{alert.IntakeLate, "no broadcast was announced yet today; " + came, at - u.first}
	case today.Accepted > 0 && at > u.last+wait && float64(today.Accepted) < w.ShortBelow*float64(u.accepted) && today.Accepted < u.least:
		return finding{alert.IntakeShort, fmt.Sprintf("%d broadcasts were announced today; %s", today.Accepted, came), 0}
	}
	return finding{}
}

func hours(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", d/time.Hour, d%time.Hour/time.Minute)
}
