package config

import (
	"fmt"
	"time"
)

// IntakeWatch says when people are told that announcements are late, short or missing, against what is usual of the weekday.
type IntakeWatch struct {
	LateAfter  time.Duration `yaml:"late_after"`  // behind the usual time; default 30m; 0: nothing is watched
	ShortBelow float64       `yaml:"short_below"` // of the usual number of broadcasts; default 0.5; 0: never
}

func (p *problems) intakeWatch(w IntakeWatch) {
	p.duration("policy.intake_watch.late_after", w.LateAfter, 0, true)
	if !(w.ShortBelow >= 0 && w.ShortBelow <= 1) {
		p.add("policy.intake_watch.short_below", fmt.Sprintf("is %g", w.ShortBelow), "0.5 is half of what is usual; 0 to 1 is possible, 0: never")
	}
}
