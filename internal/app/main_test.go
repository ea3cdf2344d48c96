package app_test

import (
	"flag"
	"testing"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

// atOnce is how many of these tests run side by side: they mostly wait, for a lease to lapse or a start to come.
const atOnce = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", atOnce); err != nil {
		panic(err)
	}
	testenv.Main(m)
}
