package dataset

import "time"

// Refresh says how often changed rows of shops that are warm are looked for.
type Refresh struct {
	Every   time.Duration `yaml:"every,omitempty"`   // default 2m
	Overlap time.Duration `yaml:"overlap,omitempty"` // rows changed so long before the last look are read again: a change is seen when it is committed; default 30s
	Off     bool          `yaml:"off,omitempty"`     // they are not looked for
}

// Defaults of Refresh.
const (
	DefaultEvery   = 2 * time.Minute
	DefaultOverlap = 30 * time.Second
)

// Refreshed is Refresh with its defaults.
func (s Spec) Refreshed() Refresh {
	r := Refresh{}
	if s.Refresh != nil {
		r = *s.Refresh
	}
	if r.Every == 0 {
		r.Every = DefaultEvery
	}
	if r.Overlap == 0 {
		r.Overlap = DefaultOverlap
	}
	return r
}

// refresh checks `refresh`.
func (v *validator) refresh() {
	r := v.spec.Refresh
	switch {
	case r == nil || r.Off:
	case r.Every != 0 && r.Every < time.Second:
		v.add("refresh.every", "2m is usual", "is %s, shorter than a second", r.Every)
	case r.Overlap < 0:
		v.add("refresh.overlap", "30s is usual; it must be longer than a transaction takes", "is negative")
	case v.spec.Paged() && v.spec.ChangedAt == "":
		v.add("refresh", "name in changed_at the column that holds when a row changed", "cannot find changed rows without changed_at")
	}
}
