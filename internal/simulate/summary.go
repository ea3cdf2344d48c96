package simulate

import (
	"time"

	"github.com/prewarm-go/prewarm/internal/pace"
)

// Summary is what many evenings say about the law. The field names are the command's output.
type Summary struct {
	Evenings         int     `json:"evenings"`          // of which one in four begins with costs that are believed wrongly
	Feasible         int     `json:"feasible"`          // a clairvoyant schedule meets all deadlines
	MissedFeasible   int     `json:"missed_feasible"`   // of those, evenings with a late broadcast
	VerdictPrecision float64 `json:"verdict_precision"` // where costs were known: of broadcasts said to be infeasible when the last list was taken in (AtLast), the share that was late
	VerdictRecall    float64 `json:"verdict_recall"`    // of broadcasts that were late, the share that was not said to be feasible
	HarmSeconds      float64 `json:"harm_seconds"`
	Reversals        int     `json:"reversals"`

	MissedSeeds []uint64 `json:"missed_seeds"` // of the missed evenings

	Broadcasts int     `json:"broadcasts"`
	Late       int     `json:"late"`
	Infeasible int     `json:"said_infeasible"` // AtLast, where costs were known
	AtRisk     int     `json:"said_at_risk"`    // the same
	RiskLate   int     `json:"at_risk_late"`    // of those, late
	Warned     int     `json:"warned"`          // of the late, those announced as such at least 5 minutes before the deadline
	Changes    int     `json:"changes"`         // of load
	MostTurns  int     `json:"most_reversals"`  // in one evening
	Beyond     int     `json:"most_beyond"`     // reversals of one evening beyond its changes of load
	Restless   int     `json:"restless"`        // evenings with more than TurnBound reversals beyond their changes
	TurnBound  int     `json:"turn_bound"`
	Moves      int     `json:"moves"`        // of planned starts
	Seconds    float64 `json:"busy_seconds"` // simulated time in which there was something to do

	OwnPrecision float64 `json:"own_precision"` // the same by the verdict of a broadcast's own intake, which knows of none that is announced later
	OwnRecall    float64 `json:"own_recall"`

	right, recalled                int
	ownRight, ownRecalled, ownSaid int
	judged                         int // late, where costs were known
}

// TurnBound is how many reversals of an evening beyond one for each change of load are too many. The width looks for what the
// servers bear: it goes a step too far, back, and tries again after waits that double, six times in half an hour.
const TurnBound = 12

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
	beyond := e.Reversals - e.Changes
	s.Beyond, s.TurnBound = max(s.Beyond, beyond), TurnBound
	if beyond > TurnBound {
		s.Restless++
	}
	late := 0
	for _, o := range e.Outcomes {
		s.Broadcasts++
		s.Moves += o.Moves
		isLate := o.Late > lateEnough
		if isLate {
			late++
			if !o.Warned.IsZero() && o.Deadline.Sub(o.Warned) >= 5*time.Minute {
				s.Warned++
			}
		}
		if e.Scenario.known() {
			s.judge(o, isLate)
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
	s.VerdictPrecision, s.VerdictRecall = share(s.right, s.Infeasible), share(s.recalled, s.judged)
	s.OwnPrecision, s.OwnRecall = share(s.ownRight, s.ownSaid), share(s.ownRecalled, s.judged)
}

// judge counts what was said of a broadcast.
func (s *Summary) judge(o Outcome, late bool) {
	count := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	count(&s.judged, late)
	count(&s.recalled, late && o.AtLast.State != pace.Feasible)
	count(&s.ownRecalled, late && o.AtIntake.State != pace.Feasible)
	count(&s.ownSaid, o.AtIntake.State == pace.Infeasible)
	count(&s.ownRight, late && o.AtIntake.State == pace.Infeasible)
	count(&s.Infeasible, o.AtLast.State == pace.Infeasible)
	count(&s.right, late && o.AtLast.State == pace.Infeasible)
	count(&s.AtRisk, o.AtLast.State == pace.AtRisk)
	count(&s.RiskLate, late && o.AtLast.State == pace.AtRisk)
}

// known says whether the costs were believed as they are: who knows them wrongly cannot judge.
func (s *Scenario) known() bool { return s.CostError == 0 || s.CostError == 1 }

// share is 1 of nothing: nothing was said wrongly.
func share(part, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(part) / float64(of)
}
