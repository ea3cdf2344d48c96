package alert

import "context"

// Steps of Run, for tests that take them one at a time.

func (c *Courier) Flush(ctx context.Context) error { return c.flush(ctx) }

func (c *Courier) Keep(ctx context.Context) error { return c.keep(ctx) }

func (c *Courier) Forget(ctx context.Context) error { return c.forget(ctx) }

func (c *Courier) Deliver(ctx context.Context) error { return c.deliver(ctx, c.Targets[0]) }

// MessageOf is what a sink is told.
func (l Links) MessageOf(all []Record) Message { return l.message(all, all[0].At) }
