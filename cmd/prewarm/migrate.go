package main

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

type migrateCmd struct {
	output
	configured
}

// migrated is the document of `prewarm migrate --json`.
type migrated struct {
	Ledger string `json:"ledger"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
}

func (c *migrateCmd) Run(t *terminal) error {
	cfg, err := c.load(t)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	store, err := ledger.Open(ctx, cfg.Ledger)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	m := migrated{Ledger: config.RedactDSN(cfg.Ledger.DSN)}
	if m.From, _, err = store.Version(ctx); err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	if m.To, _, err = store.Version(ctx); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t.out, m)
	}
	if m.From == m.To {
		fmt.Fprintf(t.out, "the ledger %s is up to date: version %d\n", m.Ledger, m.To)
		return nil
	}
	fmt.Fprintf(t.out, "the ledger %s went from version %d to %d\n", m.Ledger, m.From, m.To)
	return nil
}
