//go:build !race

package model

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// chance is what differs between two repetitions of an evening and decides nothing: runs' ids.
var chance = regexp.MustCompile(`[0-9a-f]{32}`)

// A trace is of use only if the same steps lead to it again.
func TestTheSameSeedIsTheSameEvening(t *testing.T) {
	if os.Getenv(share) == "" {
		t.Parallel()
		alone(t, "TestTheSameSeedIsTheSameEvening")
		return
	}
	captureMetadata(t)
	db := openDatabase(t)
	for seed := uint64(1); seed <= 100; seed++ {
		var traces [2][]string
		for i := range traces {
			_, _, traces[i] = evening(t, db, &mutation{}, generate(seed), true)
			// When a lease lapses, whether the page ahead has been asked for yet is chance, and decides nothing.
			traces[i] = slices.DeleteFunc(traces[i], func(l string) bool { return strings.HasSuffix(l, ": context canceled") })
			for j, l := range traces[i] {
				traces[i][j] = chance.ReplaceAllString(l, "id")
			}
			slices.Sort(traces[i]) // a lease that lapses ends two slots at one moment, in any order
		}
		require.Equal(t, traces[0], traces[1], "seed %d", seed)
	}
}
