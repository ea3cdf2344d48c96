package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Field  string `json:"field"`            // path of the field, such as policy.lead, or the environment variable
	Line   int    `json:"line,omitempty"`   // in the file; 0: not from a line
	Text   string `json:"problem"`          // what is wrong; never a secret
	Remedy string `json:"remedy,omitempty"` // what to do about it
}

// String is the problem in one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Text)
	if p.Remedy != "" {
		b.WriteString("; " + p.Remedy)
	}
	return b.String()
}

// Error is everything that is wrong with a configuration. The process ends with exit code 2 on it.
type Error struct {
	Path     string // of the file; may be empty
	Problems []Problem
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("configuration")
	if e.Path != "" {
		b.WriteString(" " + e.Path)
	}
	if len(e.Problems) == 1 {
		return b.String() + ": " + e.Problems[0].String()
	}
	fmt.Fprintf(&b, ": %d problems", len(e.Problems))
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// problems collects what is wrong, so that one look at the message is enough to repair all of it.
type problems []Problem

func (p *problems) add(field, text, remedy string) {
	*p = append(*p, Problem{Field: field, Text: text, Remedy: remedy})
}

func (p *problems) at(line int, field, text, remedy string) {
	*p = append(*p, Problem{Field: field, Line: line, Text: text, Remedy: remedy})
}

// place gives problems the lines of their fields, or of what a field that is missing would stand in. What the environment says has none.
func (p problems) place(lines map[string]int, env map[string]string) {
	for i := range p {
		field := besideName.ReplaceAllString(p[i].Field, "")
		if env[EnvPrefix+envName(field)] != "" {
			continue
		}
		for p[i].Line == 0 && field != "" {
			p[i].Line = lines[field]
			field = field[:max(strings.LastIndexAny(field, ".["), 0)]
		}
	}
}

// besideName is the name of a dataset beside its number.
var besideName = regexp.MustCompile(` \([^)]*\)`)

func (p problems) err(path string) error {
	if len(p) == 0 {
		return nil
	}
	return &Error{Path: path, Problems: p}
}
