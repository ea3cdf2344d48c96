package alert

import "strings"

// Markdown is an item for a chat that knows bold text and links, as DingTalk and WeCom do; newline ends a line there.
func (i Item) Markdown(newline string) string {
	var b strings.Builder
	b.WriteString("**" + Escape(i.Headline()) + "**" + newline)
	for _, d := range i.Details() {
		b.WriteString(d.Label + ": " + Escape(d.Text) + newline)
	}
	if i.Link != "" {
		b.WriteString("[Board](" + i.Link + ") ")
	}
	if i.Runbook != "" {
		b.WriteString("[Runbook](" + i.Runbook + ")")
	}
	return strings.TrimRight(b.String(), " \n") + "\n"
}

// escaper takes what would mention people or make links and bold text out of an alert. These chats know no escape character.
var escaper = strings.NewReplacer("@", "＠", "[", "［", "]", "］", "*", "＊", "<", "＜", ">", "＞", "#", "＃", "\n", " ")

// Escape is text in which nothing is Markdown.
func Escape(text string) string { return escaper.Replace(text) }
