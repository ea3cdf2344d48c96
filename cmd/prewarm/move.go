package main

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/prewarm-go/prewarm/internal/api"
)

// move is what the verbs that act on a run have in common.
type move struct {
	remote
	Reason string `placeholder:"TEXT" help:"Why; recorded with who did it."`
}

func (m move) run(t *terminal, verb, id string) error {
	var run api.RunDetail
	if err := m.post(t, "/v1/runs/"+url.PathEscape(id)+"/"+verb, api.Reason{Reason: m.Reason}, &run); err != nil {
		return err
	}
	if m.JSON {
		return printJSON(t.out, run)
	}
	state := run.State
	if run.Paused != "" {
		state += " and paused"
	}
	fmt.Fprintf(t.out, "run %s of shop %s is %s; `prewarm run %s` shows it\n", run.RunID, clean(run.ShopID), state, run.RunID)
	return nil
}

// turn is what the verbs have in common that act on a run, a shop, or everything.
type turn struct {
	move
	ID   string `arg:"" optional:"" help:"The run, as in prewarm runs."`
	Shop string `placeholder:"ID" help:"Instead of a run: all of this shop."`
	All  bool   `help:"Instead of a run: everything."`
}

// hold is what pause and resume have in common: they act on datasets too.
type hold struct {
	turn
	Dataset string `placeholder:"NAME" help:"Instead of a run: this dataset, of all shops."`
}

func (c hold) do(t *terminal, verb string) error {
	if c.Dataset == "" {
		return c.turn.do(t, verb)
	}
	if c.ID != "" || c.Shop != "" || c.All {
		return errOneOf
	}
	return c.switched(t, verb, "/v1/datasets/"+url.PathEscape(c.Dataset)+"/"+verb)
}

var errOneOf = usageError{errors.New("name one of: a run, --shop ID, --all; pause and resume also take --dataset NAME")}

func (c turn) do(t *terminal, verb string) error {
	given := 0
	for _, is := range []bool{c.ID != "", c.Shop != "", c.All} {
		if is {
			given++
		}
	}
	path := "/v1/" + verb
	switch {
	case given != 1:
		return errOneOf
	case c.ID != "":
		return c.run(t, verb, c.ID)
	case c.Shop != "":
		path = "/v1/shops/" + url.PathEscape(c.Shop) + "/" + verb
	}
	return c.switched(t, verb, path)
}

func (c turn) switched(t *terminal, verb, path string) error {
	var list api.SwitchList
	if err := c.post(t, path, api.Reason{Reason: c.Reason}, &list); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, list)
	}
	switch verb {
	case "cancel":
		fmt.Fprintf(t.out, "%d runs called off\n", list.Cancelled)
		if list.Ready > 0 {
			fmt.Fprintf(t.out, "%d stay, as they are ready and nothing of them is at work; `prewarm cancel RUN` takes one back\n", list.Ready)
		}
	case "resume":
		fmt.Fprintln(t.out, "resumed")
	}
	showSwitches(t, list.Switches)
	return nil
}

// showSwitches lists the pauses in force.
func showSwitches(t *terminal, all []api.Switch) {
	if len(all) == 0 {
		fmt.Fprintln(t.out, "nothing is paused")
		return
	}
	for _, w := range all {
		what := "everything"
		if w.Scope != "all" {
			what = w.Scope + " " + clean(w.ID)
		}
		fmt.Fprintf(t.out, "paused: %s, since %s, by %s", what, clock(w.Since), clean(w.Who))
		if w.Why != "" {
			fmt.Fprintf(t.out, ": %s", clean(w.Why))
		}
		fmt.Fprintln(t.out)
	}
}
