package archtest

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// source is a file with one import.
func source(imported string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("package p\n\nimport _ \"" + imported + "\"\n")}
}

func tagged(tag, imported string) *fstest.MapFile {
	f := source(imported)
	f.Data = append([]byte("//go:build "+tag+"\n\n"), f.Data...)
	return f
}

func TestWhatTheRulesRefuse(t *testing.T) {
	t.Parallel()
	const (
		asynq     = "github.com/hibiken/asynq"
		driver    = "github.com/go-sql-driver/mysql"
		miniredis = "github.com/alicebob/miniredis/v2"
		sqlite    = "modernc.org/sqlite"
	)
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"sideways":              {fstest.MapFS{"internal/ledger/a.go": source(module + "internal/cache")}, "sideways"},
		"upwards":               {fstest.MapFS{"internal/cache/a.go": source(module + "internal/load")}, "upwards"},
		"upwards from a child":  {fstest.MapFS{"internal/alert/slack/a.go": source(module + "workers")}, "upwards"},
		"not placed":            {fstest.MapFS{"internal/util/a.go": source("fmt")}, "no floor"},
		"not placed at the top": {fstest.MapFS{"pkg/a.go": source("fmt")}, "no floor"},
		"stray asynq":           {fstest.MapFS{"internal/api/a.go": source(asynq)}, "only tasks, workers"},
		"asynq's x":             {fstest.MapFS{"cmd/prewarm/a.go": source(asynq + "/x/rate")}, "only tasks, workers"},
		"stray driver":          {fstest.MapFS{"internal/load/a.go": source(driver)}, "may"},
		"driver in embedded":    {fstest.MapFS{"internal/embedded/a.go": source(driver)}, "may"},
		"testenv in code":       {fstest.MapFS{"internal/app/a.go": source(module + "internal/testenv")}, "only tests may"},
		"embedded in app":       {fstest.MapFS{"internal/app/a.go": tagged("!noembed", module+"internal/embedded")}, "only cmd"},
		"embedded untagged":     {fstest.MapFS{"cmd/prewarm/a.go": source(module + "internal/embedded")}, "without //go:build"},
		"embedded under noembed": {
			fstest.MapFS{"cmd/prewarm/a.go": tagged("noembed", module+"internal/embedded")}, "without //go:build"},
		"embedded under another tag": {
			fstest.MapFS{"cmd/prewarm/a.go": tagged("!noembed || linux", module+"internal/embedded")}, "without //go:build"},
		"embedded twice": {fstest.MapFS{
			"cmd/prewarm/a.go": tagged("!noembed", module+"internal/embedded"),
			"cmd/prewarm/b.go": tagged("!noembed", module+"internal/embedded")}, "one is enough"},
		"miniredis elsewhere": {fstest.MapFS{"internal/cache/a.go": tagged("!noembed", miniredis)}, "may"},
		"sqlite elsewhere":    {fstest.MapFS{"internal/ledger/a.go": tagged("!noembed", sqlite)}, "may"},
		"a library in tasks":  {fstest.MapFS{"tasks/a.go": source("github.com/google/uuid")}, "standard library only"},
		"our own in tasks":    {fstest.MapFS{"tasks/a.go": source(module + "internal/config")}, "standard library only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, err := read(c.files)
			require.NoError(t, err)
			complaints := check(files)
			require.NotEmpty(t, complaints)
			require.Contains(t, complaints[0], c.want)
		})
	}
}

func TestWhatTheRulesAllow(t *testing.T) {
	t.Parallel()
	files, err := read(fstest.MapFS{
		"cmd/prewarm/demo.go":               tagged("!noembed && !windows", module+"internal/embedded"),
		"cmd/prewarm/main.go":               source(module + "internal/app"),
		"internal/app/app.go":               source(module + "internal/ledger"),
		"internal/alert/alert.go":           source(module + "internal/alert/slack"),
		"internal/alert/slack/slack.go":     source(module + "tasks"),
		"internal/config/config.go":         source(module + "internal/dataset"),
		"internal/embedded/sqlite.go":       tagged("!noembed", "modernc.org/sqlite"),
		"internal/ledger/ledger_test.go":    source(module + "internal/testenv"),
		"internal/ledger/testdata/x/bad.go": source(module + "workers"),
		"internal/tools/go.mod":             {},
		"internal/tools/tools.go":           source("example.com/x"),
		"internal/testenv/mysql.go":         source(module + "internal/servers"),
		"tasks/tasks.go":                    source("github.com/hibiken/asynq"),
	})
	require.NoError(t, err)
	require.Empty(t, check(files))
	require.Len(t, files, 9)
}
