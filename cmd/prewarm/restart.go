package main

type restartCmd struct{ move }

func (c *restartCmd) Run(t *terminal) error { return c.do(t, "restart") }
