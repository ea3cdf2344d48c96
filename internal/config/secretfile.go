package config

import (
	"fmt"
	"os"
	"strings"
)

// fileSuffix makes the name of a variable that holds a file's name, as images and systemd hand secrets over: where ${NAME} is not
// set, NAME_FILE names the file with its value.
const fileSuffix = "_FILE"

// lookup is the value of a variable; wrong says why its file cannot be used.
func (d *decoder) lookup(name string) (value string, ok bool, wrong string) {
	if value, ok = d.env[name]; ok {
		return value, true, ""
	}
	file := d.env[name+fileSuffix]
	if file == "" {
		return "", false, ""
	}
	text, err := os.ReadFile(file)
	switch {
	case err != nil:
		return "", false, fmt.Sprintf("%s: cannot read %s: %s", name+fileSuffix, file, reason(err))
	case len(text) > maxSecret:
		return "", false, fmt.Sprintf("%s: %s is larger than %d bytes", name+fileSuffix, file, maxSecret)
	}
	return strings.TrimSpace(string(text)), true, ""
}

// maxSecret is more than any password or DSN needs, in bytes.
const maxSecret = 64 << 10
