package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// output is what verbs that show something have in common.
type output struct {
	JSON bool `name:"json" help:"Print one JSON document instead of text."`
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Widest columns of text that is wrapped, in characters.
const wrapAt = 60

// newTable is a table without lines, so that cut, grep and awk can read it too. The columns named are wrapped.
func newTable(w io.Writer, header []string, wrapped ...string) table.Writer {
	tw := table.NewWriter()
	tw.SetOutputMirror(w)
	tw.SuppressTrailingSpaces()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatUpper
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "  "
	tw.SetStyle(style)
	row := make(table.Row, len(header))
	for i, h := range header {
		row[i] = h
	}
	tw.AppendHeader(row)
	var columns []table.ColumnConfig
	for _, name := range wrapped {
		columns = append(columns, table.ColumnConfig{Name: name, WidthMax: wrapAt, WidthMaxEnforcer: text.WrapSoft})
	}
	tw.SetColumnConfigs(columns)
	return tw
}

// clock is a time for people, in their zone.
func clock(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func span(seconds *int64) string {
	if seconds == nil {
		return "-"
	}
	return (time.Duration(*seconds) * time.Second).String()
}

// isTerminal says whether a person looks at f.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// clean is text from elsewhere without what would move a terminal's cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

func percent(done, estimated int64) string {
	if estimated <= 0 {
		return "-"
	}
	return fmt.Sprintf("%d%%", min(100*done/estimated, 100))
}
