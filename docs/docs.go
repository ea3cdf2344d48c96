// Package docs holds the pages of the manual, which the binary prints too: `prewarm help PAGE`.
package docs

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.md
var files embed.FS

// Page is one page: a question that an operator has.
type Page struct {
	Name  string `json:"name"` // the file's name without .md
	Title string `json:"title"`
	Text  string `json:"text,omitempty"` // Markdown
}

// Pages are all pages, by name.
func Pages() []Page {
	names, err := fs.Glob(files, "*.md")
	if err != nil {
		return nil // the pattern is right
	}
	all := make([]Page, 0, len(names))
	for _, file := range names {
		text, err := files.ReadFile(file)
		if err != nil {
			continue // it was listed, so it is there
		}
		title, _, _ := strings.Cut(string(text), "\n")
		all = append(all, Page{strings.TrimSuffix(path.Base(file), ".md"), strings.TrimPrefix(title, "# "), string(text)})
	}
	return all
}
