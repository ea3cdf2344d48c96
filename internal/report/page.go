package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"seconds": func(s float64) string {
		return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
	},
	"mb":    func(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/1e6) },
	"clock": func(t time.Time) string { return t.Local().Format("15:04:05") },
}).Parse(pageText))

// Page writes the report as a page for a browser; it loads nothing from elsewhere.
func (r Report) Page(w io.Writer) error { return page.Execute(w, r) }

// order is that in which outcomes are shown.
var order = []string{InTime, TooLate, Failed, Running, Waiting, Cancelled, Skipped}

// ByOutcome are the runs by outcome, in words.
func (r Report) ByOutcome() []string {
	var all []string
	for _, what := range order {
		if n := r.Outcomes[what]; n > 0 {
			all = append(all, fmt.Sprintf("%d %s", n, strings.ReplaceAll(what, "_", " ")))
		}
	}
	return all
}

// Summary is the report in a line.
func (r Report) Summary() string {
	text := fmt.Sprintf("%s: %d runs of %d shops", r.Day, r.Runs, r.Shops)
	if r.Runs > 0 {
		text += ": " + strings.Join(r.ByOutcome(), ", ")
	}
	text += fmt.Sprintf("; %d rows", r.Rows)
	if n := r.Broadcasts["duplicate"]; n > 0 {
		text += fmt.Sprintf("; %d duplicates", n)
	}
	if n := r.Reads.Hits + r.Reads.Misses; n > 0 {
		text += fmt.Sprintf("; of %d reads the cache answered %.1f %%", n, 100*float64(r.Reads.Hits)/float64(n))
	}
	if r.Audits.Wrong > 0 {
		text += fmt.Sprintf("; audits found %d keys wrong and repaired %d", r.Audits.Wrong, r.Audits.Repaired)
	}
	if len(r.Late) > 0 {
		text += fmt.Sprintf("; the latest was shop %s, by %s: %s", r.Late[0].ShopID,
			time.Duration(r.Late[0].LateSeconds*float64(time.Second)).Round(time.Second), r.Late[0].Parts)
	}
	return text
}
