package main

type resumeCmd struct{ turn }

func (c *resumeCmd) Run(t *terminal) error { return c.do(t, "resume") }
