package main

type cancelCmd struct{ turn }

func (c *cancelCmd) Run(t *terminal) error { return c.do(t, "cancel") }
