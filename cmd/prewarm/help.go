package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/docs"
)

type helpCmd struct {
	output
	Topic string `arg:"" optional:"" help:"A page of the manual, or a verb; without it, all pages are listed."`
}

// Help is shown by `prewarm help --help`.
func (helpCmd) Help() string {
	return `The pages are Markdown, as in the folder docs of the repository.`
}

func (c *helpCmd) Run(t *terminal, at *kong.Context) error {
	pages := docs.Pages()
	if c.Topic == "" {
		return c.list(t, pages)
	}
	if i := slices.IndexFunc(pages, func(p docs.Page) bool { return p.Name == c.Topic }); i >= 0 {
		if c.JSON {
			return printJSON(t.out, pages[i])
		}
		_, err := fmt.Fprint(t.out, pages[i].Text)
		return err
	}
	for _, verb := range at.Model.Children {
		if verb.Name == c.Topic {
			if code := run([]string{verb.Name, "--help"}, t); code != 0 {
				return exitError(code)
			}
			return nil
		}
	}
	var near []string
	for _, p := range pages {
		if strings.Contains(strings.ToLower(p.Name+" "+p.Text), strings.ToLower(c.Topic)) {
			near = append(near, p.Name)
		}
	}
	if len(near) == 0 {
		return usageError{errors.New("there is no such page or verb; `prewarm help` lists the pages")}
	}
	return usageError{fmt.Errorf("there is no such page or verb; these speak of it: %s", strings.Join(near, ", "))}
}

func (c *helpCmd) list(t *terminal, pages []docs.Page) error {
	if c.JSON {
		for i := range pages {
			pages[i].Text = ""
		}
		return printJSON(t.out, map[string]any{"pages": pages})
	}
	tw := newTable(t.out, []string{"page", "title"})
	for _, p := range pages {
		tw.AppendRow(table.Row{p.Name, p.Title})
	}
	tw.Render()
	fmt.Fprintln(t.err, "prewarm help PAGE prints one; prewarm --help lists the verbs")
	return nil
}
