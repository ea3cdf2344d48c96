package main

type pauseCmd struct{ hold }

func (c *pauseCmd) Run(t *terminal) error { return c.do(t, "pause") }
