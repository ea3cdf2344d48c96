package alert

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Links says where people find more. Either may be empty: then there are no such links.
type Links struct {
	Public   string // http.public_url, where the board is
	Runbooks string // alerts.runbooks: a page per alert, NAME.md, is below it
}

// Message is what a sink is told at a time: what fires first, the worst of it first.
type Message struct {
	Items []Item
	Board string // the board's address, if it is known
}

// Item is one alert in a message.
type Item struct {
	Record
	Link    string `json:"link,omitempty"` // to its run, or to the board
	Runbook string `json:"runbook_url,omitempty"`
	Margin  string `json:"margin,omitempty"` // how late its run is, or how far from its deadline, in words
}

func (l Links) message(all []Record, now time.Time) Message {
	m := Message{}
	if l.Public != "" {
		m.Board = strings.TrimSuffix(l.Public, "/") + "/"
	}
	for _, r := range all {
		item := Item{Record: r, Link: m.Board}
		if m.Board != "" && r.Run != "" {
			item.Link += "#run/" + url.PathEscape(r.Run)
		}
		if l.Runbooks != "" {
			item.Runbook = strings.TrimSuffix(l.Runbooks, "/") + "/" + r.Name + ".md"
		}
		if margin, ok := r.Margin(now); ok {
			item.Margin = words(margin)
		}
		m.Items = append(m.Items, item)
	}
	return m
}

func words(margin time.Duration) string {
	if margin < 0 {
		return (-margin).Round(time.Second).String() + " late"
	}
	return margin.Round(time.Second).String() + " before its deadline"
}

// Status is what an item is, in a word: its severity, or that it is resolved.
func (i Item) Status() string {
	if i.State == Resolved {
		return Resolved
	}
	return i.Severity
}

// Headline is an item in one line.
func (i Item) Headline() string { return "[" + i.Status() + "] " + i.Summary }

// Detail is one more thing to say about an item.
type Detail struct{ Label, Text string }

// Details are what there is to say beside the headline; links are not among them.
func (i Item) Details() []Detail {
	shop := i.Shop
	if i.Broadcast != "" {
		shop += ", broadcast " + i.Broadcast
	}
	all := []Detail{{"Shop", shop}, {"Time", i.Margin}, {"About", i.About}, {"Why", i.Why}}
	if i.State == Resolved {
		all = append(all, Detail{"Over", i.Ended})
	} else {
		all = append(all, Detail{"Do", i.Remedy})
	}
	said := all[:0]
	for _, d := range all {
		if d.Text != "" {
			said = append(said, d)
		}
	}
	return said
}

// Status is the worst severity of what fires, or that all is resolved.
func (m Message) Status() string {
	if len(m.Items) == 0 {
		return Resolved
	}
	return m.Items[0].Status()
}

// Title is the message in one line.
func (m Message) Title() string {
	if len(m.Items) == 1 {
		return "prewarm " + m.Items[0].Headline()
	}
	count := map[string]int{}
	for _, i := range m.Items {
		count[i.Status()]++
	}
	var parts []string
	for _, s := range []string{Critical, Warning, Info, Resolved} {
		if count[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[s], s))
		}
	}
	return "prewarm: " + strings.Join(parts, ", ")
}

// Text is the message below its title, for people, in at most so many bytes.
func (m Message) Text(most int) string {
	return m.Join(most, func(i Item) string {
		var b strings.Builder
		b.WriteString(i.Headline() + "\n")
		for _, d := range i.Details() {
			b.WriteString(d.Label + ": " + d.Text + "\n")
		}
		for _, link := range []string{i.Link, i.Runbook} {
			if link != "" {
				b.WriteString(link + "\n")
			}
		}
		return b.String()
	})
}

// more is kept free for saying that there is more.
const more = 60

// Join is the items as they are written, with an empty line between them, in at most so many bytes. Those that do not fit
// are counted; the first is cut if it must be.
func (m Message) Join(most int, write func(Item) string) string {
	var b strings.Builder
	for n, i := range m.Items {
		text := write(i)
		if n == 0 {
			text = Cut(text, most-more)
		} else {
			text = "\n" + text
		}
		if b.Len()+len(text) > most-more {
			fmt.Fprintf(&b, "\n… and %d more", len(m.Items)-n)
			break
		}
		b.WriteString(text)
	}
	return b.String()
}

// Cut is text in at most so many bytes, whole characters of it.
func Cut(text string, most int) string {
	const dots = "…"
	if len(text) <= most {
		return text
	}
	end := max(0, most-len(dots))
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + dots
}
