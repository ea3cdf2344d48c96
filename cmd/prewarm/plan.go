package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/pace"
)

type planCmd struct {
	remote
	requestFile
}

// Help is shown by `prewarm plan --help`.
func (planCmd) Help() string {
	return `The document is that of prewarm request. Nothing is changed: the answer says what would become of its broadcasts, and of the runs
that are open now, if it were announced. Open runs are listed if they are not certain to be in time.

The exit code is 1 if somebody would be late (infeasible), in the document or among the open runs, or a broadcast is invalid. A run at
risk is no failure.`
}

func (c *planCmd) Run(t *terminal) error {
	body, err := c.read(t)
	if err != nil {
		return err
	}
	var answer api.PlanAnswer
	if err := c.ask(t, "POST", "/v1/plan", bytes.NewReader(body), &answer); err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(t.out, answer)
	} else {
		showPlan(t.out, answer)
	}
	if err != nil {
		return err
	}
	return planned(answer)
}

func showPlan(w io.Writer, answer api.PlanAnswer) {
	rows := slices.Clone(answer.Verdicts)
	for _, v := range answer.Open {
		if v.State != pace.Feasible {
			rows = append(rows, v)
		}
	}
	tw := newTable(w, []string{"shop", "broadcast", "outcome", "verdict", "start", "finish", "95 %", "deadline", "margin", "why", "remedy"},
		"why", "remedy")
	for _, v := range rows {
		tw.AppendRow(table.Row{clean(v.ShopID), clean(v.BroadcastID), v.Outcome, v.State, clock(v.Start), clock(v.Finish), clock(v.Finish95),
			clock(v.Deadline), span(v.MarginSeconds), clean(v.Reason), clean(v.Remedy)})
	}
	tw.Render()
}

// planned is nil if all would be well.
func planned(answer api.PlanAnswer) error {
	late, invalid, open := 0, 0, 0
	for _, v := range answer.Verdicts {
		if v.Outcome == intake.Invalid {
			invalid++
		}
		if v.State == pace.Infeasible {
			late++
		}
	}
	for _, v := range answer.Open {
		if v.State == pace.Infeasible {
			open++
		}
	}
	if late+invalid+open == 0 {
		return nil
	}
	return fmt.Errorf("of %d broadcasts %d would be late and %d are invalid; of %d open runs %d would be late",
		len(answer.Verdicts), late, invalid, len(answer.Open), open)
}
