package main

type retryCmd struct{ move }

func (c *retryCmd) Run(t *terminal) error { return c.do(t, "retry") }
