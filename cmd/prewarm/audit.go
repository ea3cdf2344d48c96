package main

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/api"
)

type auditCmd struct {
	remote
	ID      string  `arg:"" optional:"" help:"Show this audit, instead of asking for one."`
	List    bool    `help:"List audits, newest first, instead of asking for one."`
	Shop    string  `placeholder:"ID" help:"Only this shop; default: all that are warm."`
	Dataset string  `placeholder:"NAME" help:"Only this dataset."`
	Repair  bool    `help:"Put right what is wrong, and nothing else."`
	Sample  float64 `default:"100" placeholder:"PERCENT" help:"Compare only so many percent of the units; keys of no row are looked for at 100 only."`
	Reason  string  `placeholder:"TEXT" help:"Why; recorded with who asked."`
	NoWait  bool    `help:"Do not wait for its end."`
}

// Help is shown by `prewarm audit --help`.
func (auditCmd) Help() string {
	return `Has the cache compared with its source in both directions: keys that are missing, different, of no row, or with a wrong expiry. Rows
that change meanwhile are looked at again before anything is called wrong. The exit code is 1 if something is wrong and was not repaired.`
}

// auditEvery is how often an audit that is being carried out is asked after.
const auditEvery = 500 * time.Millisecond

func (c *auditCmd) Run(t *terminal) error {
	switch {
	case c.List && c.ID != "":
		return usageError{errors.New("name an audit or --list, not both")}
	case c.List:
		return c.list(t)
	case c.ID != "":
		return c.show(t, c.ID, false)
	case !(c.Sample > 0 && c.Sample <= 100):
		return usageError{errors.New("--sample is a percentage, above 0 and up to 100")}
	}
	var got api.AuditDetail
	ask := api.AuditRequest{ShopID: c.Shop, Dataset: c.Dataset, Repair: c.Repair, Sample: c.Sample, Reason: c.Reason}
	if err := c.post(t, "/v1/audits", ask, &got); err != nil {
		return err
	}
	if c.NoWait {
		return c.print(t, got)
	}
	return c.show(t, got.AuditID, true)
}

// show prints an audit, if wanted when it has ended.
func (c *auditCmd) show(t *terminal, id string, wait bool) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(stop)
	last := ""
	for {
		var got api.AuditDetail
		if err := c.ask(t, "GET", "/v1/audits/"+url.PathEscape(id), nil, &got); err != nil {
			return err
		}
		open := got.State == "waiting" || got.State == "running"
		if !wait || !open {
			return c.print(t, got)
		}
		line := fmt.Sprintf("%s: %d of %d shops, %d rows read", got.State, got.ShopsDone, got.ShopsTotal, got.RowsRead)
		if line != last && !c.JSON {
			fmt.Fprintln(t.err, line)
			last = line
		}
		select {
		case <-stop:
			fmt.Fprintf(t.err, "the audit goes on; `prewarm audit %s` shows it\n", id)
			return exitError(exitFailed)
		case <-time.After(auditEvery):
		}
	}
}

func (c *auditCmd) print(t *terminal, a api.AuditDetail) error {
	if c.JSON {
		if err := printJSON(t.out, a); err != nil {
			return err
		}
	} else {
		showAudit(t, a)
	}
	if a.State == "failed" || a.State == "broken" {
		return exitError(exitFailed)
	}
	return nil
}

func showAudit(t *terminal, a api.AuditDetail) {
	fmt.Fprintf(t.out, "audit %s of %s is %s", a.AuditID, auditScope(a.Audit), a.State)
	if a.LastError != "" {
		fmt.Fprintf(t.out, ": %s", clean(a.LastError))
	}
	fmt.Fprintf(t.out, "\n%d keys of %d of %d shops: %d missing, %d different, %d extra, %d with a wrong expiry; %d repaired", a.Keys, a.ShopsDone, a.ShopsTotal,
		a.Missing, a.Different, a.Extra, a.WrongExpiry, a.Repaired)
	if a.Changing > 0 {
		fmt.Fprintf(t.out, "; %d changed all the time", a.Changing)
	}
	fmt.Fprintln(t.out)
	for _, name := range slices.Sorted(maps.Keys(a.Caches)) {
		if n := a.Caches[name]; len(a.Caches) > 1 {
			fmt.Fprintf(t.out, "  cache %s: %d keys, %d missing, %d different, %d extra, %d with a wrong expiry; %d repaired\n", name, n.Keys, n.Missing, n.Different, n.Extra, n.WrongExpiry, n.Repaired)
		}
	}
	if len(a.Findings) == 0 {
		return
	}
	tw := newTable(t.out, []string{"kind", "shop", "dataset", "key", "detail", "repaired"}, "key", "detail")
	for _, f := range a.Findings {
		tw.AppendRow(table.Row{f.Kind, clean(f.ShopID), clean(f.Dataset), clean(f.Key), clean(f.Detail), f.Repaired})
	}
	tw.Render()
}

func auditScope(a api.Audit) string {
	text := "all warm shops"
	if a.ShopID != "" {
		text = "shop " + clean(a.ShopID)
	}
	if a.Dataset != "" {
		text += ", dataset " + clean(a.Dataset)
	}
	if a.Sample < 100 {
		text += fmt.Sprintf(", %g %% of it", a.Sample)
	}
	return text
}

func (c *auditCmd) list(t *terminal) error {
	var list api.AuditList
	if err := c.ask(t, "GET", "/v1/audits", nil, &list); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, list)
	}
	tw := newTable(t.out, []string{"audit", "asked", "by", "of", "state", "keys", "wrong", "repaired"})
	for _, a := range list.Audits {
		tw.AppendRow(table.Row{a.AuditID, clock(a.CreatedAt), clean(a.Who), auditScope(a), a.State, a.Keys, a.Missing + a.Different + a.Extra + a.WrongExpiry, a.Repaired})
	}
	tw.Render()
	return nil
}
