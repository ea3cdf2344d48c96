package main

import (
	"github.com/prewarm-go/prewarm/internal/config"
)

// configured is what verbs that read prewarm.yaml have in common.
type configured struct {
	Config string `short:"c" default:"prewarm.yaml" env:"PREWARM_CONFIG" placeholder:"FILE" help:"Configuration file (${default})."`
}

// load reads the configuration; overrides are settings in the environment's form, and win.
func (c configured) load(t *terminal, overrides ...string) (config.Config, error) {
	return config.Load(c.Config, append(t.environ[:len(t.environ):len(t.environ)], overrides...))
}
