// Package simulate plays evenings on a virtual clock: broadcasts are announced, planned, and warmed by slots on a database
// that slows down when it is used too much, beside a live load that comes and goes, while pods die
// with what they have in hand, signals lie, and costs are believed that are wrong by up to a hundred.
//
// What decides is what decides in production: pace.Schedule, pace.Need, pace.Judge, pace.Next, pace.Shares and
// pace.Rate, and guard.Gauge with its own thresholds. What is invented is the world: arrivals, sizes, the server's answer
// to load, and faults. Work goes to the run with the earliest deadline first, page by page.
//
// The same scenario gives the same evening. Nothing here reads a clock.
package simulate
