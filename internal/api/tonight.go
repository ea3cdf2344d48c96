package api

import (
	"context"
	"encoding/json"
	"time"
)

// Limits of what is shown of an evening.
const (
	shownRuns = 1000          // the newest
	shownPast = 6 * time.Hour // after its end a broadcast is still shown
)

// Sample is what one moment of the evening was like, as the pod that answers has heard of it.
type Sample struct {
	At      time.Time `json:"at"`
	Width   int       `json:"width" doc:"slots that the cluster should use"`
	Actual  int       `json:"actual" doc:"slots that it uses"`
	Demand  float64   `json:"demand" doc:"slots that the deadlines ask for"`
	Ceiling int       `json:"ceiling" doc:"what width could be"`
	Rows    float64   `json:"rows" doc:"written per second"`
	Zone    string    `json:"zone,omitempty" doc:"of the guard: hold, shrink or stop; empty: grow"`
	Reason  string    `json:"reason,omitempty" doc:"of the width; empty: as before"`
}

// History is the evening so far, oldest first, from a sample on that is newer than after.
type History interface {
	Samples(after time.Time) []Sample
}

// tonight is what the board shows, in the form it is sent. A part that is empty has not changed.
type tonight struct {
	At       time.Time         `json:"at"`
	Runs     []json.RawMessage `json:"runs,omitempty"`
	Gone     []string          `json:"gone,omitempty"` // runs that are not shown any more
	More     bool              `json:"more"`           // there are more runs than are shown
	Width    json.RawMessage   `json:"width,omitempty"`
	Pods     json.RawMessage   `json:"pods,omitempty"`
	Alerts   json.RawMessage   `json:"alerts,omitempty"`
	Switches json.RawMessage   `json:"switches,omitempty"`
	History  []Sample          `json:"history,omitempty"`
}

// reading is one look at everything that the board shows, encoded once for all who look.
type reading struct {
	at       time.Time
	order    []string // the runs' ids, newest first
	runs     map[string]string
	more     bool
	width    string
	pods     string
	alerts   string
	switches string
}

// look reads the evening.
func (a *API) look(ctx context.Context) (*reading, error) {
	r := &reading{at: time.Now().UTC(), runs: map[string]string{}}
	list, err := a.list(ctx, &runFilter{EndsAfter: r.at.Add(-shownPast), Limit: shownRuns})
	if err != nil {
		return nil, err
	}
	r.more = list.Body.Next != ""
	for _, run := range list.Body.Runs {
		r.order = append(r.order, run.RunID)
		r.runs[run.RunID] = encoded(run)
	}
	width, err := a.deps.Width.Width(ctx)
	if err != nil {
		return nil, err
	}
	pods, err := a.deps.Health.Pods(ctx)
	if err != nil {
		return nil, err
	}
	switches, err := a.inForce(ctx, 0, 0)
	if err != nil {
		return nil, err
	}
	alerts, err := a.standing(ctx)
	if err != nil {
		return nil, err
	}
	r.width, r.pods, r.alerts = encoded(width), encoded(podsOf(pods)), encoded(alerts)
	r.switches = encoded(switches.Body.Switches)
	return r, nil
}

// encoded is a value of this package as JSON; none of them can fail to encode.
func encoded(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// whole is everything that a reading shows.
func (r *reading) whole(history []Sample) tonight {
	return r.since(&reading{}, history)
}

// since is what a reading shows that an earlier one did not.
func (r *reading) since(was *reading, history []Sample) tonight {
	t := tonight{At: r.at, More: r.more, History: brief(history)}
	for _, id := range r.order {
		if r.runs[id] != was.runs[id] {
			t.Runs = append(t.Runs, json.RawMessage(r.runs[id]))
		}
	}
	for _, id := range was.order {
		if r.runs[id] == "" {
			t.Gone = append(t.Gone, id)
		}
	}
	changed := func(is, was string) json.RawMessage {
		if is == was {
			return nil
		}
		return json.RawMessage(is)
	}
	t.Width, t.Pods = changed(r.width, was.width), changed(r.pods, was.pods)
	t.Alerts, t.Switches = changed(r.alerts, was.alerts), changed(r.switches, was.switches)
	return t
}

// brief says a reason only where it changes.
func brief(samples []Sample) []Sample {
	said := ""
	for i := range samples {
		reason := samples[i].Reason
		if reason == said {
			samples[i].Reason = ""
		}
		said = reason
	}
	return samples
}
