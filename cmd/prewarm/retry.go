package main

type retryCmd struct {
	move
	ID string `arg:"" help:"The run, as in prewarm runs."`
}

func (c *retryCmd) Run(t *terminal) error { return c.run(t, "retry", c.ID) }
