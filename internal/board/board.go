// Package board owns the web page that shows tonight's runs. The page is three embedded files; all it shows it asks the
// API for, with the rights of whoever looks at it, so the files themselves hold nothing and need no login.
package board

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"time"
)

//go:embed page
var files embed.FS

// policy lets the page load nothing but its own files and talk to nobody but its own server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// kinds are the files that are served, by name.
var kinds = map[string]string{
	"board.html": "text/html; charset=utf-8",
	"board.css":  "text/css; charset=utf-8",
	"board.js":   "text/javascript; charset=utf-8",
	"icon.svg":   "image/svg+xml",
}

type file struct {
	text []byte
	tag  string // ETag
}

// Handler serves the page at / and its files under /board/.
func Handler() http.Handler {
	page := make(map[string]file, len(kinds))
	for name := range kinds {
		text, err := files.ReadFile("page/" + name)
		if err != nil {
			panic(err) //nolint:forbidigo // it is embedded above
		}
		sum := sha256.Sum256(text)
		page[name] = file{text, `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "board.html"
		if r.URL.Path != "/" {
			name = path.Base(r.URL.Path)
		}
		f, ok := page[name]
		if !ok || r.URL.Path != "/" && r.URL.Path != "/board/"+name {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", kinds[name])
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-cache") // asked for again each time, and answered 304 until the next version
		h.Set("ETag", f.tag)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.text))
	})
}
