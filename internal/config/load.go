package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile is the largest file that is read, in bytes. A configuration has some kilobytes.
const maxFile = 1 << 20

// Load reads a file, puts the environment into it, fills the defaults and checks the result. environ has os.Environ's
// form; a later entry wins, so a flag is an entry added at the end. File names in the file are relative to its folder.
// The error is an *Error that holds all problems found.
func Load(path string, environ []string) (Config, error) {
	text, err := read(path)
	if err != nil {
		return Config{}, err
	}
	env := environment(environ)
	c, lines, found := parse(text, env)
	if len(found) == 0 {
		c.locate(filepath.Dir(path))
		found = c.readSecrets()
	}
	if len(found) > 0 {
		found.place(lines, env)
		return Config{}, found.err(path)
	}
	c.Fill()
	if err := c.Validate(); err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.Path = path
			problems(e.Problems).place(lines, env)
		}
		return Config{}, err
	}
	return c, nil
}

func read(path string) ([]byte, error) {
	var p problems
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.add("", "there is no such file", "name another with --config")
	case err != nil:
		p.add("", "cannot be read: "+reason(err), "")
	case info.Size() > maxFile:
		p.add("", fmt.Sprintf("is larger than %d MiB", maxFile>>20), "this is not a prewarm.yaml")
	}
	if len(p) > 0 {
		return nil, p.err(path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		p.add("", "cannot be read: "+reason(err), "")
	}
	return text, p.err(path)
}

// parse reads the document and the overrides; of the disk only the files that NAME_FILE name, and nothing is checked beyond each value.
// The lines are those of the file's fields.
func parse(text []byte, env map[string]string) (Config, map[string]int, problems) {
	d := &decoder{env: env, anchors: map[string]ast.Node{}, lines: map[string]int{}}
	c := Defaults()
	if body := d.document(text); body != nil {
		ast.Walk(d, body)
		d.value(reflect.ValueOf(&c).Elem(), body, "")
	}
	if len(d.problems) == 0 {
		d.overlay(reflect.ValueOf(&c).Elem(), EnvPrefix)
	}
	return c, d.lines, d.problems
}

// document is the file's one document; nil if it is empty or cannot be read.
func (d *decoder) document(text []byte) (body ast.Node) {
	defer func() {
		// The parser is a library that reads what people typed: a panic of it is a syntax error to us.
		if r := recover(); r != nil {
			body = nil
			d.add("", "is not readable as YAML", "check indentation and quotes")
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		var y yaml.Error
		line := 0
		if errors.As(err, &y) && y.GetToken() != nil && y.GetToken().Position != nil {
			line = y.GetToken().Position.Line
		}
		d.at(line, "", "is not readable as YAML"+syntax(y), "check indentation and quotes around this line")
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			d.at(lineOf(doc.Body), "", "holds more than one document", "keep one")
			return nil
		}
		body = doc.Body
	}
	return body
}

// syntax is the parser's message, unless it quotes the file, which may hold a secret there.
func syntax(err yaml.Error) string {
	if err == nil || strings.ContainsAny(err.GetMessage(), "\"'`") {
		return ""
	}
	return ": " + err.GetMessage()
}

func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
