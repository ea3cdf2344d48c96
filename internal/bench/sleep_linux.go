package main

import (
	"errors"
	"runtime"
	"syscall"
	"time"
)

// sleeper makes sleepUntil exact to some microseconds in the goroutine that calls it, which keeps its thread: Go's own timers are
// rounded up to a millisecond in a process that is idle, and the kernel lets a thread sleep 50 µs longer than it asked for.
func sleeper() {
	runtime.LockOSThread()
	const setTimerSlack = 29 // PR_SET_TIMERSLACK, in nanoseconds: prctl(2)
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0)
}

func sleepUntil(due time.Time) {
	for left := time.Until(due); left > 0; left = time.Until(due) {
		rest := syscall.NsecToTimespec(left.Nanoseconds())
		if err := syscall.Nanosleep(&rest, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}
