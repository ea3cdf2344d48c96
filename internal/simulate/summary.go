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
	VerdictPrecision float64 `json:"verdict_precision"` // of broadcasts said to be infeasible at intake, the share that was late
	VerdictRecall    float64 `json:"verdict_recall"`    // of broadcasts that were late, the share that was not said to be feasible
	HarmSeconds      float64 `json:"harm_seconds"`
	Reversals        int     `json:"reversals"`

	MissedSeeds []uint64 `json:"missed_seeds"` // of the missed evenings

	Broadcasts int     `json:"broadcasts"`
	Late       int     `json:"late"`
	Infeasible int     `json:"said_infeasible"` // at intake
	AtRisk     int     `json:"said_at_risk"`    // at intake
	RiskLate   int     `json:"at_risk_late"`    // of those, late
	Warned     int     `json:"warned"`          // of the late, those announced as such at least 5 minutes before the deadline
	Changes    int     `json:"changes"`         // of load
	MostTurns  int     `json:"most_reversals"`  // in one evening
	Seconds    float64 `json:"busy_seconds"`    // simulated time in which there was something to do

	right, recalled int
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
			if o.AtIntake.State != pace.Feasible {
				s.recalled++
			}
		}
		switch o.AtIntake.State {
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
}

// share is 1 of nothing: nothing was said wrongly.
func share(part, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(part) / float64(of)
}
