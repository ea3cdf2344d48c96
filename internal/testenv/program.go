package testenv

import (
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// programs are what Program has built, in one directory that Main removes.
var programs struct {
	mu   sync.Mutex
	dir  string
	path map[string]string
}

// Program is the path of the executable of a main package, built once per test process as production builds it: without
// what the demo embeds.
func Program(t testing.TB, pkg string) string {
	t.Helper()
	programs.mu.Lock()
	defer programs.mu.Unlock()
	if path := programs.path[pkg]; path != "" {
		return path
	}
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "prewarm-program-") //nolint:usetesting // it outlives the test that asks first
		if err != nil {
			t.Fatal(err)
		}
		programs.dir, programs.path = dir, map[string]string{}
	}
	path := filepath.Join(programs.dir, filepath.Base(pkg))
	if out, err := osexec.CommandContext(t.Context(), "go", "build", "-tags", "noembed", "-o", path, pkg).CombinedOutput(); err != nil {
		t.Fatal(fmt.Errorf("build %s: %w: %s", pkg, err, out))
	}
	programs.path[pkg] = path
	return path
}

func removePrograms() error {
	if programs.dir == "" {
		return nil
	}
	return os.RemoveAll(programs.dir)
}
