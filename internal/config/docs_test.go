package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheConfigurationPageHasEveryFieldAndNoOther(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	text := string(page)
	var written []string
	for _, m := range regexp.MustCompile("`([a-z]+[a-z_.*\\[\\]]*\\.[a-z_.*\\[\\]]+)`").FindAllStringSubmatch(text, -1) {
		written = append(written, m[1])
	}
	fields := fieldPaths(reflect.TypeFor[Config](), "")
	for _, f := range fields {
		require.Contains(t, written, f, "docs/configuration.md lacks it")
	}
	for _, w := range written {
		w = strings.Replace(w, ".main.", ".*.", 1)
		require.True(t, slices.Contains(fields, w) || strings.HasSuffix(w, ".yaml") || w == "schema.table", "%s is not a field", w)
	}
}

// fieldPaths are the paths of all settings: policy.page_rows, sources.*.dsn, datasets[].name.
func fieldPaths(t reflect.Type, at string) []string {
	switch {
	case t.Kind() == reflect.Pointer:
		return fieldPaths(t.Elem(), at)
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct:
		return fieldPaths(t.Elem(), at+".*")
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct:
		return fieldPaths(t.Elem(), at+"[]")
	case t.Kind() != reflect.Struct:
		return []string{at}
	}
	var all []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		all = append(all, fieldPaths(f.Type, strings.TrimPrefix(at+"."+name, "."))...)
	}
	return all
}
