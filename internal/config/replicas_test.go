package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWherePagesAreRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		replicas []string
		readFrom string
		want     string
	}{
		{nil, "", ""},
		{[]string{"u:p@tcp(r1)/"}, "", ""}, // its lag alone is watched
		{[]string{"u:p@tcp(r1)/"}, "primary", ""},
		{[]string{"u:p@tcp(r1)/shops", "u:p@tcp(r2)/shops"}, "replica", ""},
		{[]string{"u:p@tcp(r1)/shops", "u:p@tcp(r2)/"}, "replica", "sources.main.replicas[1]: names no schema"},
		{nil, "replica", "sources.main.replicas names none"},
		{[]string{"u:p@tcp(r1)/shops"}, "replicas", "is neither primary nor replica"},
	} {
		cfg := Defaults()
		cfg.Sources = map[string]Source{"main": {DSN: "u:p@tcp(h)/shops", Replicas: c.replicas, ReadFrom: c.readFrom}}
		cfg.Fill()
		var p problems
		p.sources(cfg)
		if c.want == "" {
			require.NoError(t, p.err(""))
			continue
		}
		require.ErrorContains(t, p.err(""), c.want)
	}
}
