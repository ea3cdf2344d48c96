package main

import (
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/prewarm-go/prewarm/cmd/prewarm/manual"
)

type manCmd struct{ output }

// Help is shown by `prewarm man --help`.
func (manCmd) Help() string {
	return `To read it: prewarm man | man -l -. To install it: prewarm man > /usr/local/share/man/man1/prewarm.1.`
}

func (c *manCmd) Run(t *terminal, at *kong.Context) error {
	page := manual.Man(at.Model, manual.Page{
		Version: versionText(),
		Purpose: "loads shops' data from MySQL into Redis before their broadcasts",
		Exit: [][2]string{
			{"0", "Fine."},
			{"1", "Failed: a server cannot be reached or refuses, a check failed, a broadcast is invalid or would be late."},
			{"2", "Usage or configuration: the command line or the configuration file cannot be meant, and nothing was done."},
		},
		Environ: [][2]string{
			{"PREWARM_TOKEN", "The token for a server that asks for one."},
			{"PREWARM_<FIELD>", "Overrides a field of the configuration: policy.page_rows is PREWARM_POLICY_PAGE_ROWS."},
		},
		Files:   [][2]string{{"prewarm.yaml", "The configuration, in the current directory unless --config names another."}},
		SeeAlso: "prewarm help lists the pages of the manual, and prewarm help PAGE prints one.",
	})
	if c.JSON {
		return printJSON(t.out, map[string]string{"page": page})
	}
	_, err := fmt.Fprint(t.out, page)
	return err
}
