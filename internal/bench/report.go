package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
)

// document is what `-json` writes.
type document struct {
	Rows    int                  `json:"rows"`
	Runs    int                  `json:"runs"`
	Medians map[string]figures   `json:"medians"`
	All     map[string][]figures `json:"all"`
	Ratios  map[string]float64   `json:"ratios"`
}

func report(out io.Writer, o options, order []contender, results map[string][]figures) error {
	doc := document{Rows: o.rows, Runs: o.runs, Medians: map[string]figures{}, All: results}
	for name, all := range results {
		doc.Medians[name] = medians(all)
	}
	doc.Ratios = ratios(doc.Medians)
	w := table.NewWriter()
	w.SetOutputMirror(out)
	w.AppendHeader(table.Row{"", "rows/s", "CPU s/M", "client", "database", "redis", "peak MiB", "above idle", "allocations/row"})
	for _, c := range order {
		f := doc.Medians[c.name]
		w.AppendRow(table.Row{c.name, fmt.Sprintf("%.0f", f.Rate), digits(f.CPU), digits(f.Client), digits(f.Database), digits(f.Redis),
			digits(f.Peak), digits(f.Delta), digits(f.Allocs)})
	}
	w.Render()
	names := make([]string, 0, len(doc.Ratios))
	for name := range doc.Ratios {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(out, "%-30s %6.3f\n", name, doc.Ratios[name])
	}
	if o.json == "" {
		return nil
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, append(text, '\n'), 0o600)
}

func digits(v float64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", v)
}

// medians are taken of each figure by itself.
func medians(all []figures) (m figures) {
	of := func(get func(*figures) *float64) {
		values := make([]float64, len(all))
		for i := range all {
			values[i] = *get(&all[i])
		}
		slices.Sort(values)
		n := len(values)
		*get(&m) = (values[(n-1)/2] + values[n/2]) / 2
	}
	for _, get := range []func(*figures) *float64{
		func(f *figures) *float64 { return &f.Seconds }, func(f *figures) *float64 { return &f.Rate }, func(f *figures) *float64 { return &f.CPU },
		func(f *figures) *float64 { return &f.Client }, func(f *figures) *float64 { return &f.Database }, func(f *figures) *float64 { return &f.Redis },
		func(f *figures) *float64 { return &f.Peak }, func(f *figures) *float64 { return &f.Delta }, func(f *figures) *float64 { return &f.Allocs },
	} {
		of(get)
	}
	return m
}

// ratios are what is to be compared; those whose contenders did not run are left out.
func ratios(m map[string]figures) map[string]float64 {
	r := map[string]float64{}
	set := func(name, of, to string, get func(figures) float64) {
		a, b := m[of], m[to]
		if get(a) > 0 && get(b) > 0 {
			r[name] = get(a) / get(b)
		}
	}
	rate, cpu := func(f figures) float64 { return f.Rate }, func(f figures) float64 { return f.CPU }
	best, thrifty := "", ""
	for name, f := range m {
		if !strings.HasPrefix(name, "product_") {
			continue
		}
		r["peak_memory_delta_mib"] = max(r["peak_memory_delta_mib"], f.Delta)
		if best == "" || f.Rate > m[best].Rate {
			best = name
		}
		if thrifty == "" || f.CPU < m[thrifty].CPU {
			thrifty = name
		}
	}
	set("one_slot_rows_vs_loop", "product_1", "loop", rate)
	set("one_slot_cpu_vs_loop", "product_1", "loop", cpu)
	set("one_slot_rows_vs_shell", "product_1", "shell", rate)
	set("best_rows_vs_shell", best, "shell", rate)
	set("best_cpu_vs_shell", best, "shell", cpu)
	set("least_cpu_vs_shell", thrifty, "shell", cpu)
	set("rtt_one_slot_vs_loopback", "rtt_product_1", "product_1", rate)
	set("rtt_four_slots_vs_loopback", "rtt_product_4", "product_4", rate)
	set("rtt_loop_vs_loopback", "rtt_loop", "loop", rate)
	for name, without := range map[string]string{"ledger_share": "pipeline_no_ledger", "metrics_share": "pipeline_no_metrics"} {
		if a, b := m["pipeline_full"], m[without]; a.Rate > 0 && b.Rate > 0 {
			r[name] = 1 - a.Rate/b.Rate
		}
	}
	return r
}
