package faults

import "syscall"

// dieWithParent: pods end with the test, however it ends. The thread that starts them is the one of `keep`.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
