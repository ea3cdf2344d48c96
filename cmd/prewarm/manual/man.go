package manual

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Page is what the man page says beside the verbs.
type Page struct {
	Version string
	Purpose string      // half a line, for the name
	Exit    [][2]string // codes and their meaning
	Environ [][2]string // variables that no flag has
	Files   [][2]string
	SeeAlso string
}

// Man is the man page of section 1, in roff.
func Man(app *kong.Application, p Page) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"%s %s\" \"User Commands\"\n", strings.ToUpper(app.Name), app.Name, roff(p.Version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", app.Name, roff(p.Purpose))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n.I verb\n[flags]\n", app.Name)
	b.WriteString(".SH DESCRIPTION\n")
	paragraphs(&b, app.Help)
	b.WriteString(".SH VERBS\n")
	environ := p.Environ
	seen := map[string]bool{}
	for _, v := range verbs(app) {
		v.write(&b, app.Name)
		for _, f := range v.flags {
			if f.env != "" && !seen[f.env] {
				seen[f.env] = true
				environ = append(environ, [2]string{f.env, "The flag " + f.long + "."})
			}
		}
	}
	table(&b, "EXIT STATUS", p.Exit)
	table(&b, "ENVIRONMENT", environ)
	table(&b, "FILES", p.Files)
	fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", roff(p.SeeAlso))
	return b.String()
}

func (v verb) write(b *strings.Builder, name string) {
	fmt.Fprintf(b, ".SS \"%s %s%s\"\n", name, strings.Join(v.path, " "), roff(v.usage()))
	paragraphs(b, v.help)
	if v.more != "" {
		b.WriteString(".PP\n")
		paragraphs(b, v.more)
	}
	for _, a := range v.args {
		fmt.Fprintf(b, ".TP\n.I %s\n%s\n", roff(a.name), roff(a.help))
	}
	for _, f := range v.flags {
		names := `\fB` + roff(f.long) + `\fR`
		if f.short != "" {
			names = `\fB` + roff(f.short) + `\fR, ` + names
		}
		if f.value != "" {
			names += `=\fI` + roff(f.value) + `\fR`
		}
		fmt.Fprintf(b, ".TP\n%s\n%s\n", names, roff(f.help))
	}
}

func (v verb) usage() string {
	text := ""
	for _, a := range v.args {
		if a.optional {
			text += " [" + a.name + "]"
		} else {
			text += " " + a.name
		}
	}
	if len(v.subs) > 0 {
		text += " " + strings.Join(v.subs, "|")
	}
	return text
}

func table(b *strings.Builder, title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	for _, r := range rows {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(r[0]), roff(r[1]))
	}
}

// paragraphs keeps empty lines apart, and lines within a paragraph flowing.
func paragraphs(b *strings.Builder, text string) {
	for i, p := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		b.WriteString(roff(strings.Join(strings.Fields(p), " ")) + "\n")
	}
}

// roff is a text that roff takes as text.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n", " ", "`", `\(ga`, "'", `\(aq`, `"`, `\(dq`, "…", "...", "→", "->").Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
