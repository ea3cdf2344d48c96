package main

type pauseCmd struct{ turn }

func (c *pauseCmd) Run(t *terminal) error { return c.do(t, "pause") }
