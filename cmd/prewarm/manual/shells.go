package manual

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Shells are those that Completion knows.
const Shells = "bash,zsh,fish"

// Completion is a script for one of Shells that completes verbs, flags and the values that are known.
func Completion(app *kong.Application, shell string) string {
	all := verbs(app)
	switch shell {
	case "zsh":
		return zsh(app.Name, all)
	case "fish":
		return fish(app.Name, all)
	}
	return bash(app.Name, all)
}

// quoted is a text that all three shells take as it is.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// patterns is an alternative of a case statement.
func patterns(words ...string) string {
	for i, w := range words {
		words[i] = quoted(w)
	}
	return strings.Join(words, "|")
}

// valued are the flags of a verb whose value follows, as patterns of verb and flag.
func valued(v verb, f flag) string {
	names := []string{v.key() + " " + f.long}
	if f.short != "" {
		names = append(names, v.key()+" "+f.short)
	}
	return patterns(names...)
}

func bash(name string, all []verb) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s completion for bash: source <(%s completion bash)\n_%s() {\n", name, name, name)
	b.WriteString("  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at= w i\n  COMPREPLY=()\n" +
		"  for ((i = 1; i < COMP_CWORD; i++)); do\n    w=${COMP_WORDS[i]}\n    case \"$at $w\" in\n")
	fmt.Fprintf(&b, "      %s) at=\"$at $w\" ;;\n    esac\n  done\n", patterns(keys(all)...))
	b.WriteString("  case \"$at $prev\" in\n")
	for _, v := range all {
		for _, f := range v.flags {
			switch {
			case f.file:
				fmt.Fprintf(&b, "    %s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", valued(v, f))
			case f.value != "":
				fmt.Fprintf(&b, "    %s) COMPREPLY=($(compgen -W %s -- \"$cur\")); return ;;\n", valued(v, f), quoted(strings.Join(f.words, " ")))
			}
		}
	}
	b.WriteString("  esac\n  case $at in\n")
	fmt.Fprintf(&b, "    '') w=%s ;;\n", quoted(strings.Join(firsts(all), " ")+" --help"))
	for _, v := range all {
		fmt.Fprintf(&b, "    %s) w=%s ;;\n", quoted(v.key()), quoted(strings.Join(append(v.offers(), v.names()...), " ")))
	}
	b.WriteString("  esac\n  COMPREPLY=($(compgen -W \"$w\" -- \"$cur\"))\n  case $at in\n")
	for _, v := range all {
		if v.takesFile() {
			fmt.Fprintf(&b, "    %s) [[ $cur == -* ]] || COMPREPLY+=($(compgen -f -- \"$cur\")) ;;\n", quoted(v.key()))
		}
	}
	fmt.Fprintf(&b, "  esac\n}\ncomplete -o filenames -F _%s %s\n", name, name)
	return b.String()
}

func zsh(name string, all []verb) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# %s completion for zsh: %s completion zsh > \"${fpath[1]}/_%s\"\n_%s() {\n", name, name, name, name, name)
	b.WriteString("  local at= w i\n  local -a offers flags\n  for ((i = 2; i < CURRENT; i++)); do\n    w=$words[i]\n    case \"$at $w\" in\n")
	fmt.Fprintf(&b, "      %s) at=\"$at $w\" ;;\n    esac\n  done\n", patterns(keys(all)...))
	b.WriteString("  case \"$at $words[CURRENT-1]\" in\n")
	for _, v := range all {
		for _, f := range v.flags {
			switch {
			case f.file:
				fmt.Fprintf(&b, "    %s) _files; return ;;\n", valued(v, f))
			case f.value != "":
				fmt.Fprintf(&b, "    %s) compadd -- %s; return ;;\n", valued(v, f), strings.Join(f.words, " "))
			}
		}
	}
	b.WriteString("  esac\n  case $at in\n    '') offers=(")
	for _, v := range top(all) {
		b.WriteString(" " + menu(v.path[0], v.help))
	}
	b.WriteString(") ;;\n")
	for _, v := range all {
		fmt.Fprintf(&b, "    %s) offers=(", quoted(v.key()))
		for _, o := range v.offers() {
			b.WriteString(" " + menu(o, v.has[o]))
		}
		b.WriteString(")\n      flags=(")
		for _, f := range v.flags {
			b.WriteString(" " + menu(f.long, f.help))
		}
		b.WriteString(")\n")
		if v.takesFile() {
			b.WriteString("      _files\n")
		}
		b.WriteString("      ;;\n")
	}
	fmt.Fprintf(&b, "  esac\n  (( $#offers )) && _describe -t verbs verb offers\n  [[ $PREFIX == -* ]] && (( $#flags )) && _describe -t flags flag flags\n  return 0\n}\n"+
		"if [ \"$funcstack[1]\" = _%s ]; then _%s \"$@\"; else compdef _%s %s; fi\n", name, name, name, name)
	return b.String()
}

// menu is a word with its explanation, as _describe reads it.
func menu(word, help string) string {
	word = strings.ReplaceAll(word, ":", `\:`)
	if help = firstSentence(help); help != "" {
		word += ":" + help
	}
	return quoted(word)
}

func fish(name string, all []verb) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s completion for fish: %s completion fish > ~/.config/fish/completions/%s.fish\ncomplete -c %s -f\n", name, name, name, name)
	for _, v := range top(all) {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", name, v.path[0], fishQuoted(firstSentence(v.help)))
	}
	for _, v := range all {
		var seen []string
		for _, word := range v.path {
			seen = append(seen, "__fish_seen_subcommand_from "+word)
		}
		on := fmt.Sprintf("complete -c %s -n %s", name, fishQuoted(strings.Join(seen, "; and ")))
		for _, o := range v.offers() {
			fmt.Fprintf(&b, "%s -a %s -d %s\n", on, o, fishQuoted(firstSentence(v.has[o])))
		}
		if v.takesFile() {
			fmt.Fprintf(&b, "%s -F\n", on)
		}
		for _, f := range v.flags {
			line := on + " -l " + strings.TrimPrefix(f.long, "--")
			if f.short != "" {
				line += " -s " + strings.TrimPrefix(f.short, "-")
			}
			switch {
			case f.file:
				line += " -r -F"
			case f.value != "":
				line += " -x"
			}
			if len(f.words) > 0 {
				line += " -a " + fishQuoted(strings.Join(f.words, " "))
			}
			fmt.Fprintf(&b, "%s -d %s\n", line, fishQuoted(firstSentence(f.help)))
		}
	}
	return b.String()
}

// fishQuoted escapes as fish does: within single quotes a backslash works.
func fishQuoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func keys(all []verb) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = v.key()
	}
	return out
}

func firsts(all []verb) []string {
	var out []string
	for _, v := range top(all) {
		out = append(out, v.path[0])
	}
	return out
}
