package config

import "time"

// Audit says when the cache is compared with its source without being asked.
type Audit struct {
	Every  time.Duration `yaml:"every"`        // default 0: only when asked for
	Repair bool          `yaml:"repair"`       // what is wrong is put right; default true
	Sample float64       `yaml:"sample"`       // percent of the units that are compared, by the schedule; default 100
	Ready  float64       `yaml:"ready_sample"` // the same, for ready_when: sampled; default 5
}

// Values of Policy.ReadyWhen: what a run that is loaded must have before it is announced as ready.
const (
	ReadyLoaded  = "loaded"  // nothing more
	ReadySampled = "sampled" // a passed audit of audit.ready_sample percent of it
	ReadyAudited = "audited" // a passed audit of all of it
)

// shortestAudit is the least time between two audits by the schedule.
const shortestAudit = time.Minute

func (p *problems) audit(c Config) {
	if c.Audit.Every != 0 {
		p.duration("audit.every", c.Audit.Every, shortestAudit, false)
	}
	for field, percent := range map[string]float64{"audit.sample": c.Audit.Sample, "audit.ready_sample": c.Audit.Ready} {
		if !(percent > 0 && percent <= 100) {
			p.add(field, "is not a share", "write percent, above 0 and up to 100")
		}
	}
	switch c.Policy.ReadyWhen {
	case ReadyLoaded, ReadySampled, ReadyAudited:
	default:
		p.add("policy.ready_when", "is not known", "write loaded, sampled or audited")
	}
}
