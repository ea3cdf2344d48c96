// Package faults breaks things: whole evenings of broadcasts on real processes, three pods, MariaDB and Redis, while
// pods are killed and frozen, servers fail, fill up and forget, and the network lets both down. After each evening a
// checker that shares no code with the product (faults/check) reads MySQL and Redis and says whether anything was lost.
//
// An evening follows from its seed: which broadcasts are announced, moved and called off, and which faults come when. The
// timing of processes does not, so a seed that failed once may need several tries to fail again.
package faults

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

var (
	evenings = flag.Int("evenings", 2, "how many evenings")
	perNight = flag.Int("faults", 16, "faults of one evening")
	seed     = flag.Uint64("seed", 1, "of the first evening; the next ones count on")
	atOnce   = flag.Int("at-once", 2, "evenings side by side")
	length   = flag.Duration("length", 40*time.Second, "of the part of an evening in which faults come")
	only     = flag.String("only", "", "these faults only, with commas")
	without  = flag.String("without", "", "not these faults, with commas")
	clocks   = flag.Bool("clocks", false, "with faults of pods' clocks, for which Go's standard library is built once more")
	output   = flag.String("report", "", "write the report as JSON to this file")
	keep     = flag.Bool("keep", false, "keep the logs of good evenings too")
)

func TestMain(m *testing.M) {
	if err := mysql.SetLogger(&mysql.NopLogger{}); err != nil { // connections break all the time here
		panic(err)
	}
	redis.SetLogger(quiet{})
	testenv.Main(m)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}
