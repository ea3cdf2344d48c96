package faults

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/testenv"
)

const (
	program  = "github.com/prewarm-go/prewarm/cmd/prewarm"
	clockEnv = "PREWARM_FAULTS_CLOCK"
)

// shiftSource goes into package time of the pods' build: eight bytes of a file, mapped into memory, move the wall clock by
// so many seconds, and leave the monotonic one, as a step of the machine's clock does.
const shiftSource = `package time

import (
	"syscall"
	"unsafe"
)

var shifted = openShift()

func openShift() *int64 {
	none := new(int64)
	name, ok := syscall.Getenv("` + clockEnv + `")
	if !ok {
		return none
	}
	fd, err := syscall.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		return none
	}
	mem, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return none
	}
	return (*int64)(unsafe.Pointer(&mem[0]))
}
`

// build makes the pods' program. A shifted clock needs a changed copy of Go's package time: the program is static and asks
// the kernel by the vDSO, so that neither a preloaded library nor a time namespace (which moves monotonic clocks only)
// reaches its wall clock. Nothing of it is in the product.
func build(t *testing.T, withClocks bool) string {
	t.Helper()
	if !withClocks {
		return testenv.Program(t, program)
	}
	dir := t.TempDir()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	timeDir := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	replaced, err := shiftedTime(filepath.Join(timeDir, "time.go"))
	require.NoError(t, err)
	files := map[string]string{"time.go": replaced, "shift.go": shiftSource}
	overlay := map[string]map[string]string{"Replace": {}}
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		overlay["Replace"][filepath.Join(timeDir, name)] = path
	}
	text, err := json.Marshal(overlay)
	require.NoError(t, err)
	list, out := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "prewarm")
	require.NoError(t, os.WriteFile(list, text, 0o600))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", list, "-tags", "noembed", "-o", out, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	return out
}

// shiftedTime is Go's time.go with a Now that shifted moves.
func shiftedTime(path string) (string, error) {
	const now = "\tsec, nsec, mono := runtimeNow()\n"
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), now) != 1 {
		return "", errors.New("time.Now of this Go does not look as expected: see " + path + ", and mend shiftedTime")
	}
	return strings.Replace(string(text), now, now+"\tsec += *shifted\n", 1), nil
}
