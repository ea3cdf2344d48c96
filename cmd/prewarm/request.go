package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/api"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/pace"
)

type requestCmd struct {
	remote
	requestFile
}

// requestFile is what verbs that send a request document have in common.
type requestFile struct {
	File string `arg:"" help:"The request document; - for standard input."`
}

// Help is shown by `prewarm request --help`.
func (requestCmd) Help() string {
	return `The document: {"broadcasts": [{"broadcast_id": "b-1", "shop_id": "1001", "starts_at": "2026-05-01T19:00:00Z",
"ends_at": "2026-05-01T23:00:00Z", "tier": "ka"}]}

The exit code is 1 if a broadcast was invalid; the others are accepted all the same.`
}

func (c *requestCmd) Run(t *terminal) error {
	body, err := c.read(t)
	if err != nil {
		return err
	}
	var answer intake.Answer
	if err := c.ask(t, "POST", "/v1/requests", bytes.NewReader(body), &answer); err != nil {
		return err
	}
	invalid := 0
	for _, o := range answer.Outcomes {
		if o.Outcome == intake.Invalid {
			invalid++
		}
	}
	if err := c.show(t, answer); err != nil {
		return err
	}
	if invalid > 0 {
		return fmt.Errorf("%d of %d broadcasts are invalid; correct them and send the document again: what was accepted stays as it is",
			invalid, len(answer.Outcomes))
	}
	return nil
}

func (c requestFile) read(t *terminal) ([]byte, error) {
	in := t.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return nil, usageError{err}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	body, err := io.ReadAll(io.LimitReader(in, api.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read request document: %w", err)
	}
	if len(body) > api.MaxBody {
		return nil, usageError{fmt.Errorf("the request document is larger than %d MiB; split it", api.MaxBody>>20)}
	}
	return body, nil
}

func (c *requestCmd) show(t *terminal, answer intake.Answer) error {
	if c.JSON {
		return printJSON(t.out, answer)
	}
	tw := newTable(t.out, []string{"shop", "broadcast", "outcome", "verdict", "finish", "run", "reason", "remedy"}, "reason", "remedy")
	for _, o := range answer.Outcomes {
		row := table.Row{clean(o.ShopID), clean(o.BroadcastID), o.Outcome, "", "", o.RunID, clean(o.Reason), ""}
		if v := o.Verdict; v != nil {
			row[3], row[4], row[7] = v.State, clock(v.Finish), clean(v.Remedy)
			if v.State != pace.Feasible {
				row[6] = clean(v.Reason)
			}
		}
		tw.AppendRow(row)
	}
	tw.Render()
	fmt.Fprintf(t.err, "request %s; `prewarm runs` shows what becomes of it\n", clean(answer.RequestID))
	return nil
}
