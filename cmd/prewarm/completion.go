package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/prewarm-go/prewarm/cmd/prewarm/manual"
)

type completionCmd struct {
	output
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Help is shown by `prewarm completion --help`.
func (completionCmd) Help() string {
	return `bash: source <(prewarm completion bash), in ~/.bashrc.
zsh: prewarm completion zsh > "${fpath[1]}/_prewarm".
fish: prewarm completion fish > ~/.config/fish/completions/prewarm.fish.`
}

func (c *completionCmd) Run(t *terminal, at *kong.Context) error {
	script := manual.Completion(at.Model, c.Shell)
	if c.JSON {
		return printJSON(t.out, map[string]string{"shell": c.Shell, "script": script})
	}
	_, err := fmt.Fprint(t.out, script)
	return err
}
