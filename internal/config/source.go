package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// MainSource is the source of a dataset that names none, if there are several.
const MainSource = "main"

// SourceOf is the name of the source that a dataset is read from: the one it names, else the only one, else MainSource.
func (c Config) SourceOf(d dataset.Spec) (string, error) {
	names := slices.Sorted(maps.Keys(c.Sources))
	name := d.Source
	if name == "" && len(names) == 1 {
		return names[0], nil
	}
	if name == "" {
		name = MainSource
	}
	if _, ok := c.Sources[name]; ok {
		return name, nil
	}
	if d.Source == "" {
		return "", fmt.Errorf("is not given, and no source is called %s; sources are: %s", MainSource, strings.Join(names, ", "))
	}
	return "", fmt.Errorf("%q is not under sources; sources are: %s", name, strings.Join(names, ", "))
}
