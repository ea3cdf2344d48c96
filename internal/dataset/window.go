package dataset

import "time"

// Window says how far back the rows go that are cached: the column's value is at least the source's clock, as a run is planned, less
// Keep. Rows without a value are not cached.
type Window struct {
	Column string        `yaml:"column"` // DATETIME, TIMESTAMP or DATE, in UTC, or an integer of seconds since 1970
	Keep   time.Duration `yaml:"keep"`   // 2160h are 90 days
}

// LeastWindow is how short a window may be. A broadcast lasts for hours.
const LeastWindow = time.Hour

// window checks `window`.
func (v *validator) window() {
	w := v.spec.Window
	if w == nil {
		return
	}
	if !v.spec.Paged() {
		v.add("window", "write the condition into the query", "is for the table form")
		return
	}
	if w.Column == "" {
		v.add("window.column", "name the column that holds when the row came into being", "is missing")
	} else {
		v.names("window.column", []string{w.Column})
	}
	if w.Keep < LeastWindow {
		v.add("window.keep", "2160h are 90 days", "is %s, shorter than %s", w.Keep, LeastWindow)
	}
}
