package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/propose"
	"github.com/prewarm-go/prewarm/internal/source"
)

type initCmd struct {
	output
	configured
	DSN        string   `required:"" env:"PREWARM_SOURCES_MAIN_DSN" placeholder:"DSN" help:"The database to read, as reader:password@tcp(host:3306)/schema. The variable PREWARM_SOURCES_MAIN_DSN keeps it out of the list of processes."`
	ShopColumn string   `placeholder:"NAME" help:"The column that says which shop a row belongs to; default: what the tables suggest."`
	Tables     []string `placeholder:"NAME" help:"Only these tables; default: all."`
	Queue      string   `default:"redis://localhost:6379/0" placeholder:"URL" help:"The queue's Redis, for the file (${default})."`
	Cache      string   `default:"redis://localhost:6379/1" placeholder:"URL" help:"The Redis that is warmed, for the file (${default})."`
	Ledger     string   `placeholder:"DSN" help:"The ledger, for the file; default: user and schema prewarm on the same server."`
	Force      bool     `help:"Overwrite the file if it is there."`
}

// Help is shown by `prewarm init --help`.
func (initCmd) Help() string {
	return `Reads the tables of a database and writes a commented prewarm.yaml that proposes a dataset for each: which column holds the shop, what is
big and read in pages, by which columns, what is small and read whole. Every dataset was checked against the database as the doctor does;
tables that nothing fits are listed with the reason. Passwords are not written: the file refers to variables of the environment.`
}

// Variables that the file refers to for passwords.
const (
	readerPassword = "PREWARM_READER_PASSWORD"
	ledgerPassword = "PREWARM_LEDGER_PASSWORD"
)

// initialised is the document of `prewarm init --json`.
type initialised struct {
	File       string            `json:"file"`
	ShopColumn string            `json:"shop_column"`
	Why        string            `json:"why"`
	Datasets   []proposed        `json:"datasets"`
	LeftOut    []propose.LeftOut `json:"left_out"`
	Checks     []finding         `json:"checks"`
}

type proposed struct {
	Name  string `json:"name"`
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
	Form  string `json:"form"` // pages, whole
}

func (c *initCmd) Run(t *terminal) error {
	if _, err := os.Stat(c.Config); err == nil && !c.Force {
		return usageError{fmt.Errorf("%s is there already; name another file with --config, or overwrite it with --force", c.Config)}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	file, secrets, err := c.servers(t)
	if err != nil {
		return err
	}
	src, err := source.Open(ctx, config.MainSource, config.Source{DSN: expand(c.DSN, t.environ)}, 1)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	if err := c.propose(ctx, src, &file); err != nil {
		return err
	}
	checks, err := c.write(ctx, t, file, secrets)
	if err != nil {
		return err
	}
	return c.show(t, file, checks, secrets)
}

// servers is the file's upper half, and the passwords that it refers to.
func (c *initCmd) servers(t *terminal) (propose.File, []string, error) {
	dsn, ok := config.SplitDSN(c.DSN)
	if !ok || dsn.Schema == "" {
		return propose.File{}, nil, usageError{errors.New("--dsn cannot be read; write user:password@tcp(host:3306)/schema")}
	}
	ledger := config.DSN{User: "prewarm", Password: "${" + ledgerPassword + "}", Server: cmp.Or(dsn.Server, "tcp(localhost:3306)"), Schema: "prewarm", Params: dsn.Params}
	if c.Ledger != "" {
		if ledger, ok = config.SplitDSN(c.Ledger); !ok {
			return propose.File{}, nil, usageError{errors.New("--ledger cannot be read; write user:password@tcp(host:3306)/schema")}
		}
	}
	var secrets []string
	refer := func(d *config.DSN, name string) {
		if d.Password == "" || reference.MatchString(d.Password) {
			return
		}
		secrets = append(secrets, name+"="+d.Password)
		d.Password = "${" + name + "}"
	}
	refer(&dsn, readerPassword)
	refer(&ledger, ledgerPassword)
	f := propose.File{Queue: c.Queue, Cache: c.Cache, Ledger: ledger.String(), Source: dsn.String()}
	for _, text := range []string{f.Source, f.Ledger} {
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(f.Passwords, m[1]) {
				f.Passwords = append(f.Passwords, m[1])
			}
		}
	}
	return f, secrets, nil
}

var reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// expand puts the environment's variables into a DSN that refers to them, as the file's reader does.
func expand(dsn string, environ []string) string {
	return reference.ReplaceAllStringFunc(dsn, func(ref string) string {
		for _, kv := range slices.Backward(environ) {
			if value, ok := strings.CutPrefix(kv, ref[2:len(ref)-1]+"="); ok {
				return value
			}
		}
		return ref
	})
}

// propose asks for the tables, and keeps what the database agrees with.
func (c *initCmd) propose(ctx context.Context, src *source.Source, f *propose.File) error {
	all, err := src.Catalog(ctx)
	if err != nil {
		return err
	}
	tables := all
	if len(c.Tables) > 0 {
		tables = slices.DeleteFunc(slices.Clone(all), func(t source.Listed) bool { return !slices.Contains(c.Tables, t.Name) })
	}
	if len(tables) == 0 {
		return errors.New("the database has no such tables, or the user may not see them; grant it SELECT on them")
	}
	if f.Owners, err = propose.FindOwners(all, c.ShopColumn); err != nil {
		return err
	}
	var taken []string
	for _, t := range tables {
		d, out, err := c.table(ctx, src, t, f.Owners, taken)
		if err != nil {
			return err
		}
		if out != nil {
			f.LeftOut = append(f.LeftOut, *out)
			continue
		}
		taken = append(taken, d.Spec.Name)
		f.Datasets = append(f.Datasets, d)
	}
	if len(f.Datasets) == 0 {
		return fmt.Errorf("nothing can be proposed with the shop's column %s: table %s %s; name another with --shop-column",
			f.Owners.Column, f.LeftOut[0].Table, f.LeftOut[0].Why)
	}
	return nil
}

// table proposes a dataset for one table, and leaves out what the database does not agree with.
func (c *initCmd) table(ctx context.Context, src *source.Source, t source.Listed, o propose.Owners, taken []string) (propose.Dataset, *propose.LeftOut, error) {
	var largest int64
	if shop := o.Of[t.Name]; shop != "" && !t.View && t.Rows < source.CountedRows {
		var err error
		if largest, err = src.Largest(ctx, &t.Table, shop); err != nil {
			return propose.Dataset{}, nil, err
		}
	}
	d, out := propose.ForTable(t, o, largest, taken)
	if out != nil {
		return d, out, nil
	}
	if _, err := src.Bind(ctx, d.Spec); err != nil {
		why, remedy, _ := strings.Cut(err.Error(), "; ")
		return d, &propose.LeftOut{Table: t.Name, Why: "cannot be used: " + why, Remedy: remedy}, nil
	}
	return d, nil, nil
}

// write checks the file as a whole, as serve and doctor read it, and puts it in its place.
func (c *initCmd) write(ctx context.Context, t *terminal, f propose.File, secrets []string) ([]finding, error) {
	temp, err := os.CreateTemp(filepath.Dir(c.Config), ".prewarm-*.yaml")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", c.Config, err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // it was renamed, unless something failed
	_, err = temp.WriteString(f.YAML())
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return nil, fmt.Errorf("write %s: %w", c.Config, err)
	}
	var environ []string
	for _, name := range f.Passwords { // the ledger's need not be known yet: it is for the doctor to look at
		environ = append(environ, name+"=unknown")
	}
	cfg, err := config.Load(temp.Name(), slices.Concat(environ, t.environ, secrets))
	if err != nil {
		return nil, fmt.Errorf("what was proposed cannot be read: %w", err)
	}
	d := &doctor{cfg: cfg}
	d.sources(ctx)
	for _, check := range d.findings {
		if check.Status == fail {
			return nil, fmt.Errorf("%s: %s; %s", check.Check, check.Detail, check.Remedy)
		}
	}
	if err := os.Rename(temp.Name(), c.Config); err != nil {
		return nil, fmt.Errorf("write %s: %w", c.Config, err)
	}
	return d.findings, nil
}

func (c *initCmd) show(t *terminal, f propose.File, checks []finding, secrets []string) error {
	doc := initialised{c.Config, f.Owners.Column, f.Owners.Why, []proposed{}, append([]propose.LeftOut{}, f.LeftOut...), checks}
	for _, d := range f.Datasets {
		form := "whole"
		if d.Spec.Paged() {
			form = "pages"
		}
		doc.Datasets = append(doc.Datasets, proposed{d.Spec.Name, d.Table, d.Rows, form})
	}
	if c.JSON {
		return printJSON(t.out, doc)
	}
	fmt.Fprintf(t.out, "shop column: %s (%s)\n\n", clean(doc.ShopColumn), clean(doc.Why))
	tw := newTable(t.out, []string{"table", "rows", "dataset", "read", "note"}, "note")
	for i, d := range doc.Datasets {
		tw.AppendRow(table.Row{clean(d.Table), d.Rows, d.Name, d.Form, clean(f.Datasets[i].Note)})
	}
	for _, l := range doc.LeftOut {
		tw.AppendRow(table.Row{clean(l.Table), "", "-", "", clean(strings.TrimSuffix(l.Why+"; "+l.Remedy, "; "))})
	}
	tw.Render()
	for _, s := range secrets {
		name, _, _ := strings.Cut(s, "=")
		fmt.Fprintf(t.err, "the file refers to ${%s}: export it with the password of --dsn or --ledger\n", name)
	}
	fmt.Fprintf(t.err, "wrote %s; read it, then: prewarm doctor -c %s\n", c.Config, c.Config)
	return nil
}
