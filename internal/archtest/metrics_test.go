package archtest

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Names of metrics in a source file: whole, or in the one file that puts the prefix before all of its own.
var (
	metricName  = regexp.MustCompile(`"(prewarm_[a-z_]+)"`)
	prefixed    = regexp.MustCompile(`\bd\("([a-z_]+)"`)
	prefixAdded = `"prewarm_"+name`
)

// TestEveryMetricIsInTheManual also keeps what is gone out of it.
func TestEveryMetricIsInTheManual(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	root := os.DirFS("../..")
	files, err := read(root)
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		if !slices.ContainsFunc(f.imports, func(i string) bool { return beginsWith(i, "github.com/prometheus/client_golang") }) {
			continue
		}
		text, err := fs.ReadFile(root, f.name)
		require.NoError(t, err)
		for _, m := range metricName.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
		if strings.Contains(string(text), prefixAdded) {
			for _, m := range prefixed.FindAllSubmatch(text, -1) {
				names = append(names, "prewarm_"+string(m[1]))
			}
		}
	}
	require.Greater(t, len(names), 20, "the metrics were not found")
	for _, name := range names {
		require.Contains(t, string(page), "`"+name+"`", "docs/metrics.md lacks it")
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(prewarm_[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		require.Contains(t, names, m[1], "docs/metrics.md has it, and nothing exports it")
	}
}
