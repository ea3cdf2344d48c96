package simulate

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/pace"
)

// Broadcast is one that is announced in the course of the evening.
type Broadcast struct {
	Run       string
	Announced time.Time
	Earliest  time.Time // as the lead allows; one that is announced later is urgent and begins at once
	Deadline  time.Time
	Rows      [2]int64 // by dataset
}

// Datasets are what every shop has.
var Datasets = [2]string{"users", "goods"}

// Fault is something that goes wrong for a while.
type Fault struct {
	From, To time.Time
	Slow     float64 // the database does this share of its work; 0: as ever
	Live     float64 // the live load is multiplied by this; 0: as ever
	Pods     int     // these pods die, with the units that they have in hand
	NoLeader bool    // nobody decides
	Blind    bool    // the signals cannot be read
	Lie      float64 // what the signals say instead, which cannot be: not a number, below zero, infinite; 0: as ever
}

// Scenario is an evening before it happens.
type Scenario struct {
	Name       string
	Seed       uint64
	Begin, End time.Time // of the simulation; at End what is open is late
	Broadcasts []Broadcast
	Width      config.Width
	Pods       int
	Policy     pace.Policy
	Ceiling    int // that planning starts from, as an earlier evening has found; 0: the most that the bounds allow
	UnitRows   int
	RowSeconds [2]float64              // true cost of a row by dataset, on a quiet server
	Rates      [2]pace.Rate            // what is believed of it when the evening begins
	Knee       float64                 // slots, live load included, that the database serves at full speed
	Live       func(time.Time) float64 // the live load in slots; nil: none
	CostError  float64                 // what is believed of the costs is true times this
	Noise      float64                 // relative spread of the signals
	Faults     []Fault
}

// Shape says how Generate makes an evening.
type Shape struct {
	Shops     int     // default 500
	Load      float64 // the greatest need of the evening as a share of what the database has left; default 0.6
	LateShare float64 // of broadcasts that are announced less than the lead before their deadline; default 0.05
	CostError float64 // what is believed of the cost is true times this; 0: 1
	Calm      bool    // no faults, and a live load that stays
}

// Generate is the evening of a seed: most broadcasts are announced at noon, in one list, and start on the half hours
// between 18:00 and 23:00; a few come late, giants among them. Sizes are heavy-tailed, as shops are.
func Generate(seed uint64, shape Shape) Scenario {
	r := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) //nolint:gosec // a simulation must be repeatable
	day := time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	s := Scenario{
		Name: "generated", Seed: seed, Begin: day.Add(12 * time.Hour), End: day.Add(26 * time.Hour),
		Width: config.Width{Min: 1, Max: 64, MaxPerPod: 32}, Pods: 2, UnitRows: 10_000,
		RowSeconds: [2]float64{5e-5, 2e-4}, Knee: 24 + 24*r.Float64(), Noise: 0.05,
	}
	s.Live = live(r, s.Knee, shape.Calm)
	s.Ceiling = s.borne(day)
	if shape.Shops == 0 {
		shape.Shops = 500
	}
	for i := range shape.Shops {
		s.Broadcasts = append(s.Broadcasts, broadcast(r, day, i, cmpOr(shape.LateShare, 0.05)))
	}
	slices.SortFunc(s.Broadcasts, func(a, b Broadcast) int { return a.Announced.Compare(b.Announced) })
	if !shape.Calm {
		s.Faults = faults(r, day)
	}
	s.scale(cmpOr(shape.Load, 0.6))
	s.CostError = cmpOr(shape.CostError, 1)
	s.believe(s.CostError)
	return s
}

func cmpOr(v, other float64) float64 {
	if v == 0 {
		return other
	}
	return v
}

func broadcast(r *rand.Rand, day time.Time, i int, late float64) Broadcast {
	const lead, ready = 3 * time.Hour, 10 * time.Minute
	// Evenings have a favourite hour.
	hour := min(max(20+1.5*r.NormFloat64(), 18), 23)
	starts := day.Add(time.Duration(math.Round(2*hour)) * 30 * time.Minute)
	b := Broadcast{Run: runName(i), Deadline: starts.Add(-ready)}
	b.Earliest = starts.Add(-lead)
	b.Announced = day.Add(12 * time.Hour)
	rows := min(math.Exp(10+1.6*r.NormFloat64()), 5e6)
	if r.Float64() < late {
		b.Announced = b.Deadline.Add(-time.Duration(20+r.IntN(150)) * time.Minute).Truncate(time.Minute)
	}
	b.Rows = [2]int64{int64(rows), int64(rows * 0.2 * r.Float64())}
	return b
}

func runName(i int) string {
	const digits = "0123456789"
	return string([]byte{'r', digits[i/1000%10], digits[i/100%10], digits[i/10%10], digits[i%10]})
}

// live is a load that swells towards the evening, and surges now and then unless the evening is calm.
func live(r *rand.Rand, knee float64, calm bool) func(time.Time) float64 {
	base, swell := knee*(0.15+0.15*r.Float64()), knee*0.15*r.Float64()
	if calm {
		return func(time.Time) float64 { return base }
	}
	peak := 19 + 3*r.Float64()
	return func(t time.Time) float64 {
		h := float64(t.Hour()) + float64(t.Minute())/60 + float64(t.Second())/3600
		return base + swell*math.Exp(-(h-peak)*(h-peak)/4)
	}
}

func faults(r *rand.Rand, day time.Time) []Fault {
	at := func(length time.Duration) Fault {
		from := day.Add(15*time.Hour + time.Duration(r.IntN(6*60))*time.Minute)
		return Fault{From: from, To: from.Add(length)}
	}
	var all []Fault
	if r.IntN(2) == 0 {
		f := at(time.Duration(1+r.IntN(10)) * time.Minute)
		f.Slow = 0.3 + 0.5*r.Float64()
		all = append(all, f)
	}
	if r.IntN(2) == 0 {
		f := at(time.Duration(1+r.IntN(15)) * time.Minute)
		f.Live = 2
		all = append(all, f)
	}
	if r.IntN(3) == 0 {
		f := at(20 * time.Second)
		f.Pods = 1
		all = append(all, f)
	}
	if r.IntN(3) == 0 {
		f := at(30 * time.Second)
		f.NoLeader = true
		all = append(all, f)
	}
	if r.IntN(3) == 0 {
		f := at(40 * time.Second)
		f.Blind = true
		all = append(all, f)
	}
	if r.IntN(3) == 0 {
		f := at(time.Duration(1+r.IntN(10)) * time.Minute)
		f.Pods = 1
		all = append(all, f)
	}
	if r.IntN(3) == 0 {
		f := at(time.Duration(10+r.IntN(60)) * time.Second)
		f.Lie = []float64{-1, math.NaN(), math.Inf(1)}[r.IntN(3)]
		all = append(all, f)
	}
	return all
}

// borne is how many slots' worth of work an earlier evening like this one would have found the servers to bear: the guard
// holds a little above the knee, where the live load gives some room too.
func (s *Scenario) borne(day time.Time) int {
	hold := config.Defaults().Guard.PageTime.Hold
	sum, n := 0.0, 0.0
	for t := day.Add(17 * time.Hour); t.Before(day.Add(23 * time.Hour)); t = t.Add(5 * time.Minute) {
		sum += min(s.Knee-s.Live(t)/hold, float64(s.Width.Max))
		n++
	}
	return int(math.Round(sum / n))
}

// scale makes the evening's greatest need the given share of what the database has left.
func (s *Scenario) scale(load float64) {
	jobs := s.jobs()
	factor := load / peak(jobs, s.capacityFloor())
	for i := range s.Broadcasts {
		for d := range s.Broadcasts[i].Rows {
			s.Broadcasts[i].Rows[d] = int64(float64(s.Broadcasts[i].Rows[d]) * factor)
		}
	}
}

// believe fills Rates with what an earlier evening would have taught, wrong by a factor.
func (s *Scenario) believe(wrong float64) {
	for d := range s.Rates {
		for range 64 {
			s.Rates[d] = s.Rates[d].Learn(pace.Sample{
				Rows: int64(s.UnitRows), Bytes: 300 * int64(s.UnitRows),
				Time: time.Duration(s.RowSeconds[d] * wrong * float64(s.UnitRows) * float64(time.Second)),
			}, s.Begin.Add(-20*time.Hour))
		}
	}
}
