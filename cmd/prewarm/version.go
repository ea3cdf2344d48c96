package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker: -X main.version=1.2.3.
var version string

type versionCmd struct{ output }

func (c *versionCmd) Run(t *terminal) error {
	if c.JSON {
		return printJSON(t.out, map[string]string{"version": versionText(), "go": runtime.Version()})
	}
	fmt.Fprintf(t.out, "prewarm %s (%s)\n", versionText(), runtime.Version())
	return nil
}

// versionText is the linker's version, or that of `go install`, or "dev".
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
