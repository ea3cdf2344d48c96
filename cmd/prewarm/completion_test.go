package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/servers"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

// inShell runs a script; a shell that is not installed skips the test.
func inShell(t *testing.T, script string, argv ...string) string {
	t.Helper()
	_, err := servers.Find(argv[0], argv[0])
	testenv.Need(t, err)
	c := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	c.Stdin = strings.NewReader(script)
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// completions are command lines, the word to complete last, and what some of the offers must be.
var completions = []struct {
	line  string
	offer []string
	never string
}{
	{"prewarm ru", []string{"run", "runs"}, "serve"},
	{"prewarm serve --dr", []string{"--drain"}, "--shop"},
	{"prewarm runs --state ", []string{"planned", "cancelled"}, "--state"},
	{"prewarm completion ", []string{"bash", "zsh", "fish"}, "doctor"},
	{"prewarm doctor -", []string{"--shop", "--config", "--json"}, "--drain"},
	{"prewarm request go.m", []string{"go.mod"}, "serve"},
	{"prewarm doctor -c go.m", []string{"go.mod"}, "serve"},
}

func TestBashCompletes(t *testing.T) {
	t.Parallel()
	script := prewarm(t, "", "completion", "bash").out
	for _, c := range completions {
		words := strings.Split(c.line, " ")
		ask := script + "\ncd ../..\nCOMP_WORDS=('" + strings.Join(words, "' '") + "')\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_prewarm\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
		offered(t, inShell(t, ask, "bash"), c.line, c.offer, c.never)
	}
}

func TestFishCompletes(t *testing.T) {
	t.Parallel()
	script := prewarm(t, "", "completion", "fish").out
	for _, c := range completions {
		out := inShell(t, script+"\ncd ../..\ncomplete -C '"+c.line+"'\n", "fish", "--no-config")
		var words []string
		for line := range strings.Lines(out) {
			word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
			words = append(words, word)
		}
		offered(t, strings.Join(words, "\n"), c.line, c.offer, c.never)
	}
}

// zsh completes on a terminal only, so what the function would show is printed instead.
func TestZshCompletes(t *testing.T) {
	t.Parallel()
	script := "compdef() { }\n_describe() { print -l -- ${${(P)4}%%:*}; }\ncompadd() { shift; print -l -- $@; }\n_files() { print -l *; }\n" +
		prewarm(t, "", "completion", "zsh").out
	for _, c := range completions {
		words := strings.Split(c.line, " ")
		ask := script + "\ncd ../..\nwords=('" + strings.Join(words, "' '") + "')\nCURRENT=$#words\nPREFIX=$words[CURRENT]\n_prewarm\n"
		out := inShell(t, ask, "zsh", "-f")
		for _, want := range c.offer {
			require.Contains(t, strings.Fields(out), want, c.line)
		}
	}
}

func offered(t *testing.T, out, line string, want []string, never string) {
	t.Helper()
	words := strings.Fields(out)
	for _, w := range want {
		require.Contains(t, words, w, line)
	}
	require.NotContains(t, words, never, line)
}

func TestTheManPageIsReadable(t *testing.T) {
	t.Parallel()
	page := prewarm(t, "", "man").out
	require.Equal(t, page, document(t, prewarm(t, "", "man", "--json").out)["page"])
	read := inShell(t, page, "man", "--warnings", "-E", "UTF-8", "-l", "-")
	for _, want := range []string{"EXIT STATUS", "PREWARM_TOKEN", "prewarm doctor", "prewarm request FILE", "--state=STATE"} {
		require.Contains(t, read, want)
	}
	require.NotContains(t, read, "warning:")
}
