package simulate

import (
	"time"

	"github.com/prewarm-go/prewarm/internal/pace"
)

// Summary is what many evenings say about the law. The field names are the command's output.
type Summary struct {
	Evenings         int     `json:"evenings"`
	Feasible         int     `json:"feasible"`          // a clairvoyant schedule meets all deadlines
	MissedFeasible   int     `json:"missed_feasible"`   // of those, evenings with a late broadcast
	VerdictPrecision float64 `json:"verdict_precision"` // of broadcasts said to be infeasible when the last list was taken in (AtLast), the share that was late
	VerdictRecall    float64 `json:"verdict_recall"`    // of broadcasts that were late, the share that was not said to be feasible
	HarmSeconds      float64 `json:"harm_seconds"`
	Reversals        int     `json:"reversals"`

	MissedSeeds []uint64 `json:"missed_seeds"` // of the missed evenings

	Broadcasts int     `json:"broadcasts"`
	Late       int     `json:"late"`
	Infeasible int     `json:"said_infeasible"` // AtLast
	AtRisk     int     `json:"said_at_risk"`    // AtLast
	RiskLate   int     `json:"at_risk_late"`    // of those, late
	Warned     int     `json:"warned"`          // of the late, those announced as such at least 5 minutes before the deadline
	Changes    int     `json:"changes"`         // of load
	MostTurns  int     `json:"most_reversals"`  // in one evening
	Seconds    float64 `json:"busy_seconds"`    // simulated time in which there was something to do

	OwnPrecision float64 `json:"own_precision"` // the same by the verdict of a broadcast's own intake, which knows of none that is announced later
	OwnRecall    float64 `json:"own_recall"`

	right, recalled                int
	ownRight, ownRecalled, ownSaid int
}

// lateEnough: a broadcast that is ready this little after its deadline is not late; one decision, and a page.
const lateEnough = 5 * time.Second

// Add counts an evening.
func (s *Summary) Add(e Evening, feasible bool) {
	s.Evenings++
	s.HarmSeconds += e.Harm
	s.Reversals += e.Reversals
	s.MostTurns = max(s.MostTurns, e.Reversals)
	s.Changes += e.Changes
	s.Seconds += float64(len(e.Points)) * pace.Tick.Seconds()
	late := 0
	for _, o := range e.Outcomes {
		s.Broadcasts++
		isLate := o.Late > lateEnough
		if isLate {
			late++
			if !o.Warned.IsZero() && o.Deadline.Sub(o.Warned) >= 5*time.Minute {
				s.Warned++
			}
			if o.AtLast.State != pace.Feasible {
				s.recalled++
			}
			if o.AtIntake.State != pace.Feasible {
				s.ownRecalled++
			}
		}
		if o.AtIntake.State == pace.Infeasible {
			s.ownSaid++
			if isLate {
				s.ownRight++
			}
		}
		switch o.AtLast.State {
		case pace.Infeasible:
			s.Infeasible++
			if isLate {
				s.right++
			}
		case pace.AtRisk:
			s.AtRisk++
			if isLate {
				s.RiskLate++
			}
		}
	}
	s.Late += late
	if feasible {
		s.Feasible++
		if late > 0 {
			s.MissedFeasible++
			s.MissedSeeds = append(s.MissedSeeds, e.Scenario.Seed)
		}
	}
	s.VerdictPrecision, s.VerdictRecall = share(s.right, s.Infeasible), share(s.recalled, s.Late)
	s.OwnPrecision, s.OwnRecall = share(s.ownRight, s.ownSaid), share(s.ownRecalled, s.Late)
}

// share is 1 of nothing: nothing was said wrongly.
func share(part, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(part) / float64(of)
}
