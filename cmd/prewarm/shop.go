package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/prewarm-go/prewarm/internal/api"
)

type shopCmd struct {
	remote
	Shop     string            `arg:"" optional:"" help:"The shop's id; without it, the shops that are not kept as all others are listed."`
	Do       string            `arg:"" optional:"" enum:"show,off,on,set" default:"show" help:"show, off, on or set."`
	Remove   bool              `help:"With off: its keys are removed."`
	Expire   bool              `help:"With off: its keys are left until they expire."`
	Datasets []string          `placeholder:"NAME,…" help:"With set: only these datasets are warmed, in runs that are planned from then on; all: all."`
	AfterEnd string            `placeholder:"TIME" help:"With set: how long keys outlive the end of a broadcast, as 2h, in runs that are planned from then on; policy: as policy.expire.after_end says."`
	MaxRows  map[string]int64  `mapsep:"," placeholder:"NAME=ROWS,…" help:"With set: no more rows of these datasets are warmed, the first of their order, in runs that are planned from then on; 0: all."`
	Window   map[string]string `mapsep:"," placeholder:"NAME=TIME,…" help:"With set: how far back the rows of these datasets go that have a window, as orders=720h, in runs that are planned from then on; 0: as the configuration says."`
	Reason   string            `placeholder:"TEXT" help:"Why; recorded with who did it."`
}

// Help is shown by `prewarm shop --help`.
func (shopCmd) Help() string {
	return `off calls off the shop's runs; from then on it is neither read nor written, whatever is announced. on takes its broadcasts again from
then on; those that were announced before must be announced again. set says which of the datasets the shop has, how many rows of them, how far back, and how long its keys live.`
}

func (c *shopCmd) Run(t *terminal) error {
	if err := c.check(); err != nil {
		return usageError{err}
	}
	if c.Shop == "" {
		return c.list(t)
	}
	path := "/v1/shops/" + url.PathEscape(c.Shop) + "/settings"
	var is api.ShopSettings
	if err := c.ask(t, http.MethodGet, path, nil, &is); err != nil {
		return err
	}
	if c.Do != "show" {
		body, err := json.Marshal(c.change(is))
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		if err := c.ask(t, http.MethodPut, path, bytes.NewReader(body), &is); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(t.out, is)
	}
	showShop(t, is)
	return nil
}

// change is what replaces a shop's settings: what nothing is said of stays.
func (c *shopCmd) change(is api.ShopSettings) api.ShopSet {
	set := api.ShopSet{Off: is.Off, Keys: is.Keys, Datasets: is.Datasets, AfterEnd: is.AfterEnd, MaxRows: maps.Clone(is.MaxRows), Windows: maps.Clone(is.Windows), Version: is.Version, Reason: c.Reason}
	switch {
	case c.Do == "on":
		set.Off, set.Keys = false, ""
	case c.Remove:
		set.Off, set.Keys = true, "remove"
	case c.Expire:
		set.Off, set.Keys = true, "expire"
	}
	switch {
	case slices.Equal(c.Datasets, []string{allDatasets}):
		set.Datasets = nil
	case len(c.Datasets) > 0:
		set.Datasets = c.Datasets
	}
	switch c.AfterEnd {
	case "":
	case byPolicy:
		set.AfterEnd = ""
	default:
		set.AfterEnd = c.AfterEnd
	}
	set.MaxRows, set.Windows = merged(set.MaxRows, c.MaxRows, 0), merged(set.Windows, c.Window, "0")
	return set
}

// merged is what is there with what is said put over it; none takes a dataset's away.
func merged[V comparable](is, said map[string]V, none V) map[string]V {
	for name, v := range said {
		if v == none {
			delete(is, name)
			continue
		}
		if is == nil {
			is = map[string]V{}
		}
		is[name] = v
	}
	return is
}

// What takes a setting back.
const (
	allDatasets = "all"
	byPolicy    = "policy"
)

// sets says whether anything is given that is for set.
func (c *shopCmd) sets() bool {
	return len(c.Datasets) > 0 || c.AfterEnd != "" || len(c.MaxRows) > 0 || len(c.Window) > 0
}

func (c *shopCmd) check() error {
	switch {
	case c.Do == "set" && !c.sets():
		return errors.New("say what is to be set: --datasets NAME,… or all, --after-end TIME or policy, --max-rows NAME=ROWS,…, --window NAME=TIME,…")
	case c.Do != "set" && c.sets():
		return errors.New("--datasets, --after-end, --max-rows and --window are for set")
	case c.Do == "off" && c.Remove == c.Expire:
		return errors.New("say what becomes of the shop's keys: --remove or --expire")
	case c.Do != "off" && (c.Remove || c.Expire):
		return errors.New("--remove and --expire are for off")
	case c.Do != "show" && strings.TrimSpace(c.Reason) == "":
		return errors.New("say why: --reason TEXT")
	case c.Do == "show" && c.Reason != "":
		return errors.New("--reason is for off, on and set")
	}
	return nil
}

func (c *shopCmd) list(t *terminal) error {
	var list api.ShopList
	if err := c.ask(t, http.MethodGet, "/v1/shops", nil, &list); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, list)
	}
	if len(list.Shops) == 0 {
		fmt.Fprintln(t.out, "all shops are on")
	}
	for _, s := range list.Shops {
		showShop(t, s)
	}
	return nil
}

func showShop(t *terminal, s api.ShopSettings) {
	state := "on"
	if s.Off {
		state = "off; its keys " + map[string]string{"remove": "are removed", "expire": "are left to expire"}[s.Keys]
	}
	if len(s.Datasets) > 0 {
		state += ", only with " + clean(strings.Join(s.Datasets, ", "))
	}
	if s.AfterEnd != "" {
		state += ", its keys live " + clean(s.AfterEnd) + " after the end"
	}
	for _, name := range slices.Sorted(maps.Keys(s.MaxRows)) {
		state += fmt.Sprintf(", with %d rows of %s", s.MaxRows[name], clean(name))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Windows)) {
		state += fmt.Sprintf(", with the last %s of %s", clean(s.Windows[name]), clean(name))
	}
	fmt.Fprintf(t.out, "shop %s is %s", clean(s.ShopID), state)
	if s.Version > 0 {
		fmt.Fprintf(t.out, ", since %s, by %s: %s", clock(s.ChangedAt), clean(s.Who), clean(s.Why))
	}
	fmt.Fprintln(t.out)
	if s.Cancelled > 0 {
		fmt.Fprintf(t.out, "  %d runs called off\n", s.Cancelled)
	}
	if r := s.Removal; r != nil {
		fmt.Fprintf(t.out, "  removal %s, %d keys so far", r.State, r.Removed)
		if r.LastError != "" {
			fmt.Fprintf(t.out, ": %s", clean(r.LastError))
		}
		fmt.Fprintln(t.out)
		for _, l := range r.Left {
			fmt.Fprintf(t.out, "  left to expire: %s: %s\n", clean(l.Dataset), clean(l.Why))
		}
	}
	if s.Note != "" {
		fmt.Fprintf(t.out, "  %s\n", clean(s.Note))
	}
}
