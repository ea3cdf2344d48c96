package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// outcome is what one evening gave. Times are in seconds.
type outcome struct {
	Seed       uint64         `json:"seed"`
	Seconds    float64        `json:"seconds"`
	Faults     map[string]int `json:"faults"`
	Kinds      []string       `json:"-"` // in their order
	Busy       int            `json:"faults_with_work_in_hand"`
	Broadcasts int            `json:"broadcasts"`
	Edits      int            `json:"edits"`
	States     map[string]int `json:"states"`
	Checked    int            `json:"rows_checked"`
	Sent       int64          `json:"rows_sent"`
	Redone     int64          `json:"rows_redone"`
	Takeover   []float64      `json:"take_over_seconds"`
	Progress   []float64      `json:"progress_seconds"`
	Rest       float64        `json:"rest_seconds"`
	Newer      bool           `json:"write_newer"`
	Problems   []string       `json:"problems,omitempty"`
	Dir        string         `json:"dir,omitempty"`
}

// report is all evenings.
type report struct {
	Evenings []*outcome     `json:"evenings"`
	Faults   int            `json:"faults"`
	Busy     int            `json:"faults_with_work_in_hand"`
	ByKind   map[string]int `json:"faults_by_kind"`
	States   map[string]int `json:"runs_by_state"`
	Bad      []uint64       `json:"bad_seeds,omitempty"`
	Takeover spread         `json:"take_over_seconds"`
	Progress spread         `json:"progress_seconds"`
	Redone   spread         `json:"rows_redone_per_fault"`
	Rest     spread         `json:"rest_seconds"`
	Seconds  float64        `json:"seconds"`
}

// spread is a distribution.
type spread struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	Max float64 `json:"max"`
}

func spreadOf(all []float64) spread {
	if len(all) == 0 {
		return spread{}
	}
	all = slices.Sorted(slices.Values(all))
	at := func(q float64) float64 { return round(all[int(q*float64(len(all)-1))]) }
	return spread{N: len(all), P50: at(0.5), P90: at(0.9), Max: at(1)}
}

func round(x float64) float64 { return float64(int(x*100+0.5)) / 100 }

func (s spread) String() string {
	return fmt.Sprintf("p50 %.2f  p90 %.2f  max %.2f  (n %d)", s.P50, s.P90, s.Max, s.N)
}

func reportOf(all []*outcome, took time.Duration) report {
	r := report{Evenings: all, ByKind: map[string]int{}, States: map[string]int{}, Seconds: round(took.Seconds())}
	var takeover, progress, redone, rest []float64
	for _, o := range all {
		n := 0
		for name, count := range o.Faults {
			r.ByKind[name] += count
			n += count
		}
		r.Faults += n
		r.Busy += o.Busy
		for state, count := range o.States {
			r.States[state] += count
		}
		if len(o.Problems) > 0 {
			r.Bad = append(r.Bad, o.Seed)
		}
		takeover, progress, rest = append(takeover, o.Takeover...), append(progress, o.Progress...), append(rest, o.Rest)
		redone = append(redone, float64(o.Redone)/float64(max(n, 1)))
	}
	r.Takeover, r.Progress, r.Redone, r.Rest = spreadOf(takeover), spreadOf(progress), spreadOf(redone), spreadOf(rest)
	return r
}

func (r report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d evenings, %d faults, %.0f s; %d evenings with problems %v\n", len(r.Evenings), r.Faults, r.Seconds, len(r.Bad), r.Bad)
	for _, name := range names(r.ByKind) {
		fmt.Fprintf(&b, "  %-18s %4d\n", name, r.ByKind[name])
	}
	fmt.Fprintf(&b, "faults that came upon units in hand: %d\n", r.Busy)
	fmt.Fprintf(&b, "runs by state: %v\n", r.States)
	fmt.Fprintf(&b, "take-over, from the old owner's last move to the next claim (s):  %s\n", r.Takeover)
	fmt.Fprintf(&b, "from a fault's end to the next movement of a unit (s):            %s\n", r.Progress)
	fmt.Fprintf(&b, "from the last fault's end to rest (s):                            %s\n", r.Rest)
	fmt.Fprintf(&b, "rows written again, per fault:                                    %s\n", r.Redone)
	for _, o := range r.Evenings {
		for _, p := range o.Problems {
			fmt.Fprintf(&b, "seed %d: %s\n", o.Seed, p)
		}
	}
	return b.String()
}

func names(m map[string]int) []string {
	var all []string
	for name := range m {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func (r report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}
