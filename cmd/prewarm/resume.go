package main

type resumeCmd struct{ hold }

func (c *resumeCmd) Run(t *terminal) error { return c.do(t, "resume") }
