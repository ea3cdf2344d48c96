//go:build !linux

package servers

import "syscall"

// dieWithParent has no counterpart here: children outlive a process that is killed.
func dieWithParent() *syscall.SysProcAttr { return nil }
