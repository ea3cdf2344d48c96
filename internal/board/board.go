// Package board owns the web page that shows tonight's runs, and the one that asks for a token. The board is embedded
// files without a build step; all it shows it asks the API for, with the rights of whoever looks at it.
package board

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed page
var files embed.FS

// policy lets the page load nothing but its own files and talk to nobody but its own server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// kinds are the types of the files that are served, by the ends of their names.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

const (
	start = "board.html" // is served at /
	login = "login.html" // is a template, and not served as a file
)

type file struct {
	text []byte
	tag  string // ETag
}

// Handler serves the page at / and its files under /board/.
func Handler() http.Handler {
	page := map[string]file{}
	for name, text := range embedded() {
		sum := sha256.Sum256(text)
		page[name] = file{text, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := start
		if r.URL.Path != "/" {
			name = path.Base(r.URL.Path)
		}
		f, ok := page[name]
		if !ok || name == login || r.URL.Path != "/" && r.URL.Path != "/board/"+name {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", kinds[path.Ext(name)])
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-cache") // asked for again each time, and answered 304 until the next version
		h.Set("ETag", f.tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.text))
	})
}

func embedded() map[string][]byte {
	all := map[string][]byte{}
	entries, err := files.ReadDir("page")
	for _, e := range entries {
		if all[e.Name()], err = files.ReadFile("page/" + e.Name()); err != nil {
			break
		}
	}
	if err != nil {
		panic(err) //nolint:forbidigo // it is embedded above
	}
	return all
}

// Login answers the page that asks for a token, and which leads to next (a path) when it was right. It is all that a
// stranger gets to see, and so it loads nothing else.
func Login() func(w http.ResponseWriter, status int, next, wrong string) {
	text := string(embedded()[login])
	page := template.Must(template.New(login).Parse(text))
	_, rest, _ := strings.Cut(text, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	own := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		base64.StdEncoding.EncodeToString(sum[:]))
	return func(w http.ResponseWriter, status int, next, wrong string) {
		h := w.Header()
		h.Set("Content-Type", kinds[".html"])
		h.Set("Content-Security-Policy", own)
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = page.Execute(w, struct{ Next, Wrong string }{next, wrong})
	}
}
