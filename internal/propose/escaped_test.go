package propose_test

import (
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// escaped is a declaration as it stands in the file: what would be a variable of the environment is written in the way that
// makes the configuration's reader take it as text.
func escaped(s dataset.Spec) dataset.Spec {
	as := func(text string) string { return strings.ReplaceAll(text, "${", "$${") }
	for _, field := range []*string{&s.Query, &s.Table, &s.Shop, &s.Where, &s.Key, &s.ChangedAt} {
		*field = as(*field)
	}
	for _, names := range []*[]string{&s.By, &s.Columns} {
		for i, n := range *names {
			(*names)[i] = as(n)
		}
	}
	return s
}
