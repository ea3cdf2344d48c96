package refresh

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/dataset"
)

// onTable is a dataset that is read from one table.
type onTable struct {
	Dataset
	spec  dataset.Spec
	table string
}

func (d onTable) Spec() dataset.Spec { return d.spec }

func (d onTable) ReadsTable(_, name string) bool { return name == d.table }

func TestWhatAnyDatasetProtectsIsNotRecorded(t *testing.T) {
	t.Parallel()
	text := "raw"
	row := change.Row{"id": &text, "Phone": &text, "pass": nil, "name": &text}
	const all, some, none = `{"Phone":"(not kept)","id":"(not kept)","name":"(not kept)","pass":"(not kept)"}`,
		`{"Phone":"(not kept)","id":"raw","name":"raw","pass":"(not kept)"}`, `{"Phone":"raw","id":"raw","name":"raw","pass":null}`
	table := onTable{spec: dataset.Spec{Name: "users", Table: "users", Drop: []string{"pass"}, Mask: map[string]string{"phone": "x"}}, table: "users"}
	other := onTable{spec: dataset.Spec{Name: "others", Table: "users"}, table: "users"}
	query := onTable{spec: dataset.Spec{Name: "list", Query: "…", Hash: []string{"tel"}}, table: "staff"}
	for name, c := range map[string]struct {
		datasets []Dataset
		change   change.Change
		want     string
	}{
		"of a table":             {[]Dataset{other, table, query}, change.Change{Table: "users"}, some},
		"of a dataset":           {[]Dataset{other, table}, change.Change{Dataset: "users"}, some},
		"of another's table":     {[]Dataset{other, table}, change.Change{Dataset: "others"}, some},
		"of a query, perhaps":    {[]Dataset{other, query}, change.Change{Dataset: "others"}, all},
		"a query's names":        {[]Dataset{table, query}, change.Change{Table: "staff"}, all},
		"of nobody":              {[]Dataset{table}, change.Change{Dataset: "usres"}, all},
		"nothing is protected":   {[]Dataset{other}, change.Change{Table: "users"}, none},
		"nobody's, nor a secret": {[]Dataset{other}, change.Change{Table: "elsewhere"}, none},
	} {
		require.Equal(t, c.want, secrecyOf(c.datasets, c.change).told(row), name)
	}
	require.Empty(t, secrecyOf(nil, change.Change{}).told(nil))
}
