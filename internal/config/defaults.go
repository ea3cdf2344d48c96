package config

import (
	"slices"
	"time"
)

// Defaults of what Load fills in; the rest stands in Defaults.
const (
	DefaultLedgerPool    = 16
	DefaultStatementTime = 10 * time.Second
	// SourceSpare is how many connections a source's pool has beyond one per slot, for planning and checks.
	SourceSpare = 4
)

// What a page may have is 500 rows to begin with, and 5,000 when the source reads them in policy.page_time.
const (
	pageRows    = 500
	pageRowsMax = 5000
)

// Defaults is the configuration that a file starts from. Servers and datasets have no defaults.
func Defaults() Config {
	return Config{
		Policy: Policy{
			WarmWhen:     WarmWhen{MinRows: 5000},
			ReadyBefore:  10 * time.Minute,
			Lead:         3 * time.Hour,
			ReadyWhen:    ReadyLoaded,
			Expire:       Expire{AfterEnd: 30 * time.Minute, Jitter: 10 * time.Minute},
			Lease:        5 * time.Minute,
			PageRows:     pageRows,
			PageTime:     200 * time.Microsecond,
			PageRowsMin:  150,
			PageBytes:    4 << 20,
			UnitRows:     10000,
			MaxRejects:   100,
			MaxBroadcast: 48 * time.Hour,
			MaxAhead:     720 * time.Hour,
			FreshWithin:  10 * time.Minute,
			PodDead:      10 * time.Second,
			Watch:        Watch{NoProgress: 40 * time.Minute, Overtime: time.Hour, AtLeast: time.Minute},
			Retry:        Retry{Attempts: 3, Backoff: Backoff{First: 5 * time.Second, Max: 2 * time.Minute}},
			IntakeWatch:  IntakeWatch{LateAfter: 30 * time.Minute, ShortBelow: 0.5},
		},
		Width:   Width{Min: 1, Max: 64, MaxPerPod: 32},
		Pace:    Pace{Headroom: 1.25, Margin: 2 * time.Minute, Crowd: 1.7, PodsBusy: 8, PodsCPU: 0.85},
		Guard:   defaultGuard(),
		Audit:   Audit{Repair: true, Sample: 100, Ready: 5},
		Tracing: Tracing{Sample: 0.1},
		HTTP:    HTTP{Listen: "127.0.0.1:8080"},
		Alerts: Alerts{
			Repeat: 4 * time.Hour, ResolveAfter: 10 * time.Minute,
			Runbooks: "https://github.com/prewarm-go/prewarm/blob/main/deploy/runbooks",
		},
	}
}

// Fill sets what depends on other fields and was left out: the cache, pools, limits, passwords, datasets' keys. Load calls it; a Config that is
// built in code needs it too.
func (c *Config) Fill() {
	if c.Cache == nil && len(c.Caches) == 0 {
		cache := c.Queue
		c.Cache = &cache
	}
	if c.Ledger.Migrate == nil {
		yes := true
		c.Ledger.Migrate = &yes
	}
	if p := &c.Policy; p.PageRowsMax == 0 {
		// A size that somebody has chosen is kept to.
		if p.PageRowsMax = p.PageRows; p.PageRows == pageRows {
			p.PageRowsMax = pageRowsMax
		}
	}
	if c.Ledger.Pool == 0 {
		c.Ledger.Pool = DefaultLedgerPool
	}
	c.Ledger.DSN = withPassword(c.Ledger.DSN, c.Ledger.Password)
	for name, s := range c.Sources {
		s.DSN, s.Replicas = withPassword(s.DSN, s.Password), slices.Clone(s.Replicas)
		for i, dsn := range s.Replicas {
			s.Replicas[i] = withPassword(dsn, s.Password)
		}
		if s.Pool == 0 {
			s.Pool = c.Width.MaxPerPod + SourceSpare
		}
		if s.ReadFrom == "" {
			s.ReadFrom = ReadPrimary
		}
		if s.StatementTime == 0 {
			s.StatementTime = DefaultStatementTime
		}
		c.Sources[name] = s
	}
	for i := range c.Datasets {
		if d := &c.Datasets[i]; len(d.Hash) > 0 {
			d.HashKey = c.Policy.HashKey
		}
	}
	c.Alerts.fill()
}
