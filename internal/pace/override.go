package pace

import (
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/config"
)

// Override is what somebody has set by hand. Every one ends by itself.
type Override struct {
	Pin   int       `json:"pin,omitempty"` // this width, whatever the need; 0: not pinned
	Min   int       `json:"min,omitempty"` // instead of width.min; 0: not set
	Max   int       `json:"max,omitempty"` // instead of width.max; 0: not set
	Pause bool      `json:"pause,omitempty"`
	Until time.Time `json:"until"`
	Who   string    `json:"who"`
	Why   string    `json:"why"`
}

// Validate says what is wrong with an override: a bound that turns Min and Max around, no end, nobody, nothing set.
func (o Override) Validate(now time.Time, w config.Width) error {
	switch {
	case o.Pin < 0 || o.Min < 0 || o.Max < 0:
		return fmt.Errorf("an override cannot be below zero")
	case o.Pin == 0 && o.Min == 0 && o.Max == 0 && !o.Pause:
		return fmt.Errorf("an override sets pin, min, max or pause")
	case o.Pin > w.Max || o.Min > w.Max || o.Max > w.Max:
		return fmt.Errorf("an override stays within width.max, which is %d", w.Max)
	case o.Min > 0 && o.Max > 0 && o.Min > o.Max:
		return fmt.Errorf("min %d is more than max %d", o.Min, o.Max)
	case !o.Until.After(now):
		return fmt.Errorf("an override needs an end in the future")
	case o.Who == "" || o.Why == "":
		return fmt.Errorf("an override says who set it and why")
	}
	return nil
}

// bounds are the configured ones or those set by hand, whatever was given: 1 <= min <= max.
func bounds(in Input) (config.Width, *Override) {
	w := in.Bounds
	hand := in.Override
	if hand != nil && !hand.Until.After(in.Now) {
		hand = nil
	}
	if hand != nil && hand.Min > 0 {
		w.Min = hand.Min
	}
	if hand != nil && hand.Max > 0 {
		w.Max = hand.Max
	}
	w.Max = max(w.Max, 1)
	w.Min = min(max(w.Min, 1), w.Max)
	w.MaxPerPod = max(w.MaxPerPod, 1)
	return w, hand
}
