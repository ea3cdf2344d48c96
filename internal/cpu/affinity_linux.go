package cpu

import (
	"os"

	"golang.org/x/sys/unix"
)

// affinity is that of the first thread, which the others began with.
func affinity() (allowed []int) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil {
		return nil
	}
	for n := range len(set) * 64 {
		if set.IsSet(n) {
			allowed = append(allowed, n)
		}
	}
	return allowed
}
