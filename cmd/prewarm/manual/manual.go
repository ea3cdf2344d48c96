// Package manual writes what people and shells read about the command line, from the command line's own model: the man page,
// and completions for bash, zsh and fish. It knows no verb by name.
package manual

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// verb is something that can be run, or a verb of verbs.
type verb struct {
	path  []string // as typed: alerts, test
	help  string
	more  string // its longer help
	flags []flag
	args  []argument
	subs  []string // the next words that may follow
	has   map[string]string
}

type flag struct {
	long, short string // --json, -c; short may be ""
	help        string
	value       string   // placeholder of the value; "" for a switch
	words       []string // all values that there are
	file        bool     // the value names a file
	env         string
}

type argument struct {
	name, help string
	words      []string
	file       bool
	optional   bool
}

// verbs are those of the model in its order, a verb before its own verbs.
func verbs(app *kong.Application) []verb {
	var all []verb
	var visit func(n *kong.Node, path []string)
	visit = func(n *kong.Node, path []string) {
		for _, child := range n.Children {
			if child.Hidden || child.Type != kong.CommandNode {
				continue
			}
			v := describe(child, append(slices.Clone(path), child.Name))
			all = append(all, v)
			visit(child, v.path)
		}
	}
	visit(app.Node, nil)
	return all
}

func describe(n *kong.Node, path []string) verb {
	v := verb{path: path, help: n.Help, more: n.Detail, has: map[string]string{}}
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			v.flags = append(v.flags, flagOf(f))
		}
	}
	for _, p := range n.Positional {
		v.args = append(v.args, argument{name: strings.ToUpper(p.Name), help: p.Help, words: words(p), file: p.Name == "file", optional: !p.Required})
	}
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			v.subs = append(v.subs, child.Name)
			v.has[child.Name] = child.Help
		}
	}
	return v
}

func flagOf(f *kong.Flag) flag {
	x := flag{long: "--" + f.Name, help: f.Help, words: words(f.Value)}
	if f.Short != 0 {
		x.short = "-" + string(f.Short)
	}
	if !f.IsBool() {
		x.value = strings.Trim(f.FormatPlaceHolder(), `"`)
		x.file = x.value == "FILE"
	}
	if len(f.Envs) > 0 {
		x.env = f.Envs[0]
	}
	return x
}

func words(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return v.EnumSlice()
}

// top are the words that may stand first.
func top(all []verb) []verb {
	return slices.DeleteFunc(slices.Clone(all), func(v verb) bool { return len(v.path) > 1 })
}

// names are all spellings of the verb's flags.
func (v verb) names() []string {
	var all []string
	for _, f := range v.flags {
		all = append(all, f.long)
		if f.short != "" {
			all = append(all, f.short)
		}
	}
	return all
}

// key is the verb's path as the shell functions put it together.
func (v verb) key() string { return " " + strings.Join(v.path, " ") }

// offers are the words that may stand behind the verb, flags aside.
func (v verb) offers() []string {
	all := slices.Clone(v.subs)
	for _, a := range v.args {
		all = append(all, a.words...)
	}
	return all
}

// takesFile says whether an argument of the verb is a file.
func (v verb) takesFile() bool {
	return slices.ContainsFunc(v.args, func(a argument) bool { return a.file })
}

// firstSentence fits a line of a menu.
func firstSentence(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if i := strings.Index(s, ". "); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSuffix(s, ".")
}
