package main

import (
	"fmt"
	"net/url"

	"github.com/prewarm-go/prewarm/internal/api"
)

// move is what retry, restart and cancel have in common.
type move struct {
	remote
	ID string `arg:"" help:"The run, as in prewarm runs."`
}

func (m move) do(t *terminal, verb string) error {
	var run api.RunDetail
	if err := m.ask(t, "POST", "/v1/runs/"+url.PathEscape(m.ID)+"/"+verb, nil, &run); err != nil {
		return err
	}
	if m.JSON {
		return printJSON(t.out, run)
	}
	fmt.Fprintf(t.out, "run %s of shop %s is %s; `prewarm run %s` shows it\n", run.RunID, clean(run.ShopID), run.State, run.RunID)
	return nil
}
