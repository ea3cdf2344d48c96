package main

type restartCmd struct {
	move
	ID string `arg:"" help:"The run, as in prewarm runs."`
}

func (c *restartCmd) Run(t *terminal) error { return c.run(t, "restart", c.ID) }
