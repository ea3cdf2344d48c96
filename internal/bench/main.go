// Command bench measures how fast prewarm loads on this machine. It starts private servers, generates data with a fixed
// seed, and lets three contenders write the same rows by turns:
//
//	loop     what one would write first: one goroutine, pages of 500 rows, structs, encoding/json, and the ledger and the
//	         lease after every page
//	shell    the database makes the commands and `redis-cli --pipe` sends them: no cursor, no check, no retry
//	product  `prewarm serve` as it is, with its queue, ledger, lease, expiry and metrics, at several widths
//
// What is said are ratios of medians within one run; absolute figures are those of the machine and the hour.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
)

func main() {
	var o options
	flag.IntVar(&o.rows, "rows", 600_000, "rows in all")
	flag.IntVar(&o.runs, "runs", 5, "rounds; what is said are medians")
	flag.StringVar(&o.json, "json", "", "file for the figures")
	flag.StringVar(&o.program, "program", "", "the prewarm to measure; default: it is built from the source here")
	flag.StringVar(&o.only, "only", "", "contenders, with commas; default: all")
	flag.StringVar(&o.policy, "policy", "", "more of the configuration's policy section, such as 'page_rows: 500, page_rows_max: 500'")
	flag.StringVar(&o.shape, "shape", "mixed", "what the data are like: "+shapeNames())
	flag.StringVar(&o.profile, "profile", "", "file for a CPU profile of the pipeline in this process; nothing else is measured")
	widths := flag.String("widths", "1,2,4", "widths of the product")
	flag.Parse()
	if _, ok := shapes[o.shape]; !ok {
		fatal(fmt.Errorf("-shape %s is none of %s", o.shape, shapeNames()))
	}
	for _, text := range strings.Split(*widths, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			fatal(fmt.Errorf("-widths %s is not a list of numbers", *widths))
		}
		o.widths = append(o.widths, n)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

type options struct {
	rows, runs             int
	json, program, profile string
	only, policy, shape    string
	widths                 []int
}

func (o options) wants(name string) bool {
	return o.only == "" || strings.Contains(","+o.only+",", ","+name+",")
}

// contender is something that writes all rows once.
type contender struct {
	name string
	run  func(ctx context.Context) (figures, error)
}

func run(ctx context.Context, o options) (err error) {
	s, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.shape.row == nil {
		return s.planning(ctx)
	}
	if o.profile != "" {
		return s.profile(ctx, o.profile)
	}
	var all []contender
	for _, c := range s.contenders(o) {
		if o.wants(c.name) {
			all = append(all, c)
		}
	}
	results := map[string][]figures{}
	for round := 1; round <= o.runs; round++ {
		for _, c := range all {
			f, err := c.run(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Fprintf(os.Stderr, "%d/%d %-22s %7.0f rows/s %6.2f CPU s/M\n", round, o.runs, c.name, f.Rate, f.CPU)
			results[c.name] = append(results[c.name], f)
		}
	}
	return report(os.Stdout, o, all, results)
}

func (s *stand) contenders(o options) []contender {
	var list []contender
	if !s.shape.odd {
		list = append(list, contender{"loop", s.loop}, contender{"shell", s.shell})
	}
	for _, w := range o.widths {
		list = append(list, contender{fmt.Sprintf("product_%d", w), func(ctx context.Context) (figures, error) { return s.product(ctx, w, "") }})
	}
	if s.shape.odd {
		return list
	}
	for _, name := range []string{"full", "no_ledger", "no_metrics"} {
		list = append(list, contender{"pipeline_" + name, func(ctx context.Context) (figures, error) { return s.pipeline(ctx, name) }})
	}
	for _, w := range []int{1, 4} {
		list = append(list, contender{fmt.Sprintf("rtt_product_%d", w), func(ctx context.Context) (figures, error) { return s.product(ctx, w, "1ms") }})
	}
	return append(list, contender{"rtt_loop", func(ctx context.Context) (figures, error) { return s.loopOver(ctx, s.far) }})
}
