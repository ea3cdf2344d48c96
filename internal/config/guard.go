package config

import (
	"fmt"
	"math"
)

// Guard are the thresholds of the servers' signals. What a signal is, and why a default is what it is, stands in package guard.
type Guard struct {
	// Times the usual level, which is learned.
	PageTime       Zones `yaml:"page_time"`
	Canary         Zones `yaml:"canary"`
	RedisLatency   Zones `yaml:"redis_latency"`
	BlockedClients Zones `yaml:"redis_blocked_clients"`
	// Shares, from 0 to 1.
	Connections Zones `yaml:"mysql_connections"`
	RedisMemory Zones `yaml:"redis_memory"`
	// Statements, seconds, and keys a second.
	ThreadsRunning Zones `yaml:"mysql_threads_running"`
	ReplicaLag     Zones `yaml:"replica_lag"`
	Evictions      Zones `yaml:"redis_evictions"`
}

// Zones are the values from which on a signal keeps the width from growing, cuts it, and stops all work; 0: never.
type Zones struct {
	Hold   float64 `yaml:"hold"`
	Shrink float64 `yaml:"shrink"`
	Stop   float64 `yaml:"stop"`
}

func defaultGuard() Guard {
	return Guard{
		// For medians over all pods. Our own width raises the time too: where it does, the server works on more pages than it has cores,
		// pages get smaller and all get slower, and fewer slots do as much.
		PageTime: Zones{Hold: 1.25, Shrink: 1.5, Stop: 20},
		Canary:   Zones{Hold: 2, Shrink: 4, Stop: 20},
		// A PING beside full pipelines of 500 SETs waits about a millisecond, which a live client feels too but bears.
		RedisLatency:   Zones{Hold: 3, Shrink: 5, Stop: 50},
		BlockedClients: Zones{Hold: 2, Shrink: 4, Stop: 20},
		Connections:    Zones{Hold: 0.75, Shrink: 0.85, Stop: 0.95},
		// To shrink does not free memory: between hold and stop the evening goes on at its width.
		RedisMemory: Zones{Hold: 0.85, Stop: 0.95},
		// A server of 8 to 32 cores is busy at the first and jammed at the last.
		ThreadsRunning: Zones{Hold: 40, Shrink: 64, Stop: 128},
		ReplicaLag:     Zones{Hold: 2, Shrink: 5, Stop: 30},
		Evictions:      Zones{Hold: 0.1, Shrink: 10, Stop: 100},
	}
}

func (p *problems) guard(g Guard) {
	for name, z := range map[string]Zones{
		"page_time": g.PageTime, "canary": g.Canary, "redis_latency": g.RedisLatency, "redis_blocked_clients": g.BlockedClients,
	} {
		p.zones("guard."+name, z, func(v float64) string {
			if v > 1 {
				return ""
			}
			return "is not above 1, the usual level"
		})
	}
	for name, z := range map[string]Zones{"mysql_connections": g.Connections, "redis_memory": g.RedisMemory} {
		p.zones("guard."+name, z, func(v float64) string {
			if v <= 1 {
				return ""
			}
			return "is above 1, and it is a share"
		})
	}
	for name, z := range map[string]Zones{"mysql_threads_running": g.ThreadsRunning, "replica_lag": g.ReplicaLag, "redis_evictions": g.Evictions} {
		p.zones("guard."+name, z, func(float64) string { return "" })
	}
}

// zones checks that each value can be one, and that what stops does not come before what only holds.
func (p *problems) zones(field string, z Zones, wrong func(float64) string) {
	last := 0.0
	for _, zone := range []struct {
		name string
		from float64
	}{{"hold", z.Hold}, {"shrink", z.Shrink}, {"stop", z.Stop}} {
		if zone.from == 0 {
			continue
		}
		field := field + "." + zone.name
		switch {
		case !(zone.from > 0) || math.IsInf(zone.from, 0):
			p.add(field, fmt.Sprintf("is %g", zone.from), "it must be above 0; 0: never")
			continue
		case wrong(zone.from) != "":
			p.add(field, fmt.Sprintf("is %g: it %s", zone.from, wrong(zone.from)), "0: never")
		case zone.from < last:
			p.add(field, fmt.Sprintf("is %g, below the milder zone before it (%g)", zone.from, last), "hold, shrink and stop come in this order; 0: never")
		}
		last = max(last, zone.from)
	}
}
