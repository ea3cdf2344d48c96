package main

type cancelCmd struct{ move }

func (c *cancelCmd) Run(t *terminal) error { return c.do(t, "cancel") }
