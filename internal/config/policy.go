package config

import (
	"fmt"
	"time"
)

// Bounds beyond which a number is a slip of the pen.
const (
	shortest    = 100 * time.Millisecond
	maxSlots    = 512             // of one pod: each is an asynq server that polls
	maxPageRows = 100_000         // a page is held in memory twice: as rows and as commands
	minLease    = 2 * time.Second // it is renewed at most once a second
	minPageTime = 10 * time.Microsecond
	minPageSize = 64 << 10 // bytes; smaller pages cost more round trips than rows
	maxHeadroom = 10
	minCrowd    = 1.2
	minPodsBusy = 2
	minPodsCPU  = 0.1
	minHashKey  = 16                   // bytes
	maxTries    = 100                  // attempts of a unit
	maxAhead    = 366 * 24 * time.Hour // asynq keeps what is scheduled in Redis until then
)

func (p *problems) policy(c Config) {
	po := c.Policy
	p.atLeast("policy.warm_when.min_rows", int(po.WarmWhen.MinRows), 0)
	p.duration("policy.ready_before", po.ReadyBefore, 0, true)
	p.duration("policy.lead", po.Lead, time.Second, false)
	p.duration("policy.expire.after_end", po.Expire.AfterEnd, 0, true)
	p.duration("policy.expire.jitter", po.Expire.Jitter, 0, true)
	p.duration("policy.lease", po.Lease, minLease, false)
	p.duration("policy.fresh_within", po.FreshWithin, time.Second, false)
	p.duration("policy.pod_dead", po.PodDead, time.Second, false)
	p.duration("policy.watch.no_progress", po.Watch.NoProgress, po.Watch.AtLeast, false)
	p.duration("policy.watch.overtime", po.Watch.Overtime, po.Watch.AtLeast, false)
	p.duration("policy.watch.at_least", po.Watch.AtLeast, time.Second, false)
	p.duration("policy.max_broadcast", po.MaxBroadcast, time.Minute, false)
	p.duration("policy.max_ahead", po.MaxAhead, time.Minute, false)
	p.duration("pace.margin", c.Pace.Margin, 0, true)
	if c.Pace.Headroom < 1 || c.Pace.Headroom > maxHeadroom {
		p.add("pace.headroom", fmt.Sprintf("is %g", c.Pace.Headroom), "1.25 is usual: a quarter more slots than are needed; 1 to 10 is possible")
	}
	if c.Pace.PodsBusy != 0 && !(c.Pace.PodsBusy >= minPodsBusy) {
		p.add("pace.pods_busy", fmt.Sprintf("is %g", c.Pace.PodsBusy), "8 is usual; from 2 on, for encoding the rows takes its time too; 0: never")
	}
	if c.Pace.PodsCPU != 0 && !(c.Pace.PodsCPU >= minPodsCPU && c.Pace.PodsCPU <= 1) {
		p.add("pace.pods_cpu", fmt.Sprintf("is %g", c.Pace.PodsCPU), "0.85 is usual; a part of the processors, 0.1 to 1; 0: never")
	}
	if c.Pace.Crowd != 0 && !(c.Pace.Crowd >= minCrowd) {
		p.add("pace.crowd", fmt.Sprintf("is %g", c.Pace.Crowd), "1.7 is usual; from 1.2 on, for a load wavers; 0: never")
	}
	if n := len(po.HashKey); n > 0 && n < minHashKey {
		p.add("policy.hash_key", fmt.Sprintf("is %d bytes long, and could be guessed", n), "write 32 bytes into it, as from `openssl rand -hex 32`")
	}
	p.guard(c.Guard)
	p.pages(po)
	p.retry(po.Retry)
	p.intakeWatch(po.IntakeWatch)
	if po.Lead > 0 && po.Lead <= po.ReadyBefore {
		p.add("policy.lead", fmt.Sprintf("is %s, no more than policy.ready_before (%s), so no run could begin before its deadline", po.Lead, po.ReadyBefore),
			"it counts from starts_at; 3h is usual")
	}
	if po.MaxAhead <= po.Lead {
		p.add("policy.max_ahead", "is no longer than policy.lead, so no broadcast could get its lead", "raise it above "+po.Lead.String())
	}
	if po.MaxAhead > maxAhead {
		p.add("policy.max_ahead", "is more than a year", "720h is a month")
	}
}

func (p *problems) pages(po Policy) {
	p.atLeast("policy.page_rows", po.PageRows, 1)
	p.atLeast("policy.page_rows_min", po.PageRowsMin, 1)
	p.atLeast("policy.page_rows_max", po.PageRowsMax, 0)
	p.duration("policy.page_time", po.PageTime, minPageTime, false)
	p.atLeast("policy.page_bytes", po.PageBytes, minPageSize)
	p.atLeast("policy.max_rejects", po.MaxRejects, 0)
	for field, rows := range map[string]int{"policy.page_rows": po.PageRows, "policy.page_rows_max": po.PageRowsMax} {
		if rows > maxPageRows {
			p.add(field, fmt.Sprintf("is above %d", maxPageRows), "500 is usual; a page is held in memory")
		}
	}
	if po.UnitRows < po.PageRows {
		p.add("policy.unit_rows", fmt.Sprintf("is %d, below policy.page_rows (%d)", po.UnitRows, po.PageRows),
			"a unit is at least one page; 10000 is usual")
	}
}

func (p *problems) retry(r Retry) {
	p.atLeast("policy.retry.attempts", r.Attempts, 1)
	if r.Attempts > maxTries {
		p.add("policy.retry.attempts", fmt.Sprintf("is above %d", maxTries), "3 is usual")
	}
	p.duration("policy.retry.backoff.first", r.Backoff.First, shortest, false)
	if r.Backoff.Max < r.Backoff.First {
		p.add("policy.retry.backoff.max", fmt.Sprintf("is %s, below policy.retry.backoff.first (%s)", r.Backoff.Max, r.Backoff.First),
			"raise it, or lower the first")
	}
}

// duration checks that d is at least `least`; zero is named as such where it means something.
func (p *problems) duration(field string, d, least time.Duration, zero bool) {
	switch {
	case d >= least:
	case zero:
		p.add(field, "is negative", "0s or more")
	default:
		p.add(field, "is "+d.String(), "must be "+least.String()+" or more")
	}
}
