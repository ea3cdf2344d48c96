//go:build !race

package model

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Without the flag or the variable PREWARM_MODEL_SEEDS, defaultSeeds are played.
var (
	seedsFlag = flag.Uint64("model.seeds", 0, "how many evenings to play (0: PREWARM_MODEL_SEEDS, or 3000)")
	firstFlag = flag.Uint64("model.first", 1, "the first seed")
	traceFlag = flag.Bool("model.trace", false, "print the trace of the first seed")
)

const (
	defaultSeeds = 3000
	// share is set for a child of the test: it plays its seeds in its own process.
	share = "PREWARM_MODEL_SHARE"
)

func seedCount(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(cmp.Or(os.Getenv("PREWARM_MODEL_SEEDS"), "0"), 10, 64)
	require.NoError(t, err, "PREWARM_MODEL_SEEDS")
	return cmp.Or(*seedsFlag, n, defaultSeeds)
}

// TestEveryEveningEndsWell plays each seed in one of as many processes as there are processors: in a process of its own,
// with one processor, an evening's goroutines hand over to each other without waking a thread, which is three times as fast.
func TestEveryEveningEndsWell(t *testing.T) {
	if os.Getenv(share) != "" {
		playShare(t)
		return
	}
	t.Parallel()
	n, workers := seedCount(t), uint64(runtime.NumCPU())
	began := time.Now()
	for i := range workers {
		t.Run(fmt.Sprintf("share %d", i+1), func(t *testing.T) {
			t.Parallel()
			from, to := *firstFlag+n*i/workers, *firstFlag+n*(i+1)/workers
			if from == to {
				return
			}
			out := alone(t, "TestEveryEveningEndsWell", fmt.Sprintf("-model.trace=%v", *traceFlag),
				fmt.Sprintf("-model.first=%d", from), fmt.Sprintf("-model.seeds=%d", to-from))
			t.Logf("%d seeds from %d on:\n%s", to-from, from, out)
		})
	}
	t.Cleanup(func() { t.Logf("%d evenings in %s", n, time.Since(began).Round(time.Millisecond)) })
}

// alone runs a test of this binary in a process of its own and returns what it logs.
func alone(t *testing.T, test string, args ...string) string {
	t.Helper()
	args = append([]string{"-test.run=^" + test + "$", "-test.timeout=0", "-test.v"}, args...)
	child := exec.CommandContext(t.Context(), os.Args[0], args...)
	child.Env = append(os.Environ(), share+"=1", "GOMAXPROCS=1", "GOGC=400")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func playShare(t *testing.T) {
	captureMetadata(t)
	db := openDatabase(t)
	began, longest := time.Now(), time.Duration(0)
	for i := range *seedsFlag {
		seed := *firstFlag + i
		failed, rest, lines := evening(t, db, &mutation{}, generate(seed), *traceFlag && i == 0)
		if failed != "" {
			report(t, db, &mutation{}, seed, failed)
			return
		}
		longest = max(longest, rest)
		if lines != nil {
			t.Log(strings.Join(lines, "\n"))
		}
	}
	took := time.Since(began)
	t.Logf("%d evenings in %s, %.0f a second; after the last fault, rest came within %s", *seedsFlag, took.Round(time.Millisecond),
		float64(*seedsFlag)/took.Seconds(), longest.Round(time.Millisecond))
}

// report shrinks what failed and says how it comes about.
func report(t *testing.T, db *database, m *mutation, seed uint64, failed string) {
	t.Helper()
	steps, why, lines := shortest(t, db, m, seed)
	t.Errorf("seed %d: %s\nshrunk to %d steps %v: %s\n%s", seed, failed, len(steps), steps, why, strings.Join(lines, "\n"))
}

func shortest(t *testing.T, db *database, m *mutation, seed uint64) (steps []step, why string, lines []string) {
	t.Helper()
	steps = shrink(generate(seed), func(s []step) bool {
		failed, _, _ := evening(t, db, m, s, false)
		return failed != ""
	})
	why, _, lines = evening(t, db, m, steps, true)
	return steps, why, lines
}
