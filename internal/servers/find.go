package servers

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// extraDirs are where packages put servers that an ordinary user's PATH leaves out.
var extraDirs = []string{"/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/opt/homebrew/bin"}

// Find is the path of the first of the programs that is installed, or ErrMissing, which says what to install.
func Find(install string, programs ...string) (string, error) {
	for _, program := range programs {
		if path, err := exec.LookPath(program); err == nil {
			return path, nil
		}
		for _, dir := range extraDirs {
			if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%w: %s is not in PATH; install %s",
		ErrMissing, strings.Join(programs, " or "), install)
}
