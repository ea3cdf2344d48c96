// Package cgroup finds the control groups that the process is in.
package cgroup

import (
	"os"
	"path"
	"strings"
)

// Group is a directory of a control group's files.
type Group struct {
	Dir string
	V1  bool // of version 1
}

// Of are the groups of a controller that the process is in: its own, and those above it, as a limit of each of them holds. The root is that of the file
// system, "/" but in tests. There are none where there are no control groups.
func Of(root, controller string) (groups []Group) {
	text, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		g := Group{Dir: path.Join(root, "sys/fs/cgroup"), V1: parts[0] != "0"}
		if g.V1 {
			if !strings.Contains(","+parts[1]+",", ","+controller+",") {
				continue
			}
			g.Dir = path.Join(g.Dir, controller)
		}
		for at := parts[2]; ; at = path.Dir(at) {
			groups = append(groups, Group{path.Join(g.Dir, at), g.V1})
			if at == "/" || at == "." {
				break
			}
		}
	}
	return groups
}
