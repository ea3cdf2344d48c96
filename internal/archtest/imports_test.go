// Package archtest holds the code to the import picture: who may import whom, and where the queue library, the database
// driver and the embedded servers may appear. It reads source files only, so it sees every build tag at once.
package archtest

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/prewarm-go/prewarm/"

// floors is the building from the roof down: a package may import what stands on a lower floor, never a neighbour. A
// package inside a listed one belongs to it, and the packages of such a family may import each other.
var floors = [][]string{
	{"cmd", "internal/bench"},
	{"internal/app"},
	{"workers", "internal/api", "internal/board", "internal/simulate"},
	{"internal/refresh"},
	{"internal/intake", "internal/load", "internal/plan", "internal/pace", "internal/upkeep", "internal/audit", "internal/feed", "internal/propose", "internal/report"},
	{"internal/embedded", "internal/shops", "internal/replica"},
	{"internal/ledger", "internal/source", "internal/cache", "internal/lease", "internal/queue", "internal/guard"},
	{"internal/redisconn", "internal/mysqlconn", "internal/tracing", "internal/alert", "internal/memory", "internal/cpu", "internal/grants", "internal/binlog"},
	{"internal/config", "internal/stamp", "internal/cgroup"},
	{"internal/dataset", "internal/change", "tasks", "internal/servers", "docs"},
}

// forTests are packages that only test files may import. They import what they like.
var forTests = []string{"internal/testenv", "internal/alert/alerttest", "internal/archtest", "internal/faults", "internal/model"}

// fences: the imports beginning with `prefix` may appear in these packages only.
var fences = []struct {
	prefix string
	in     []string
}{
	{"github.com/hibiken/asynq", []string{"tasks", "workers", "internal/queue", "internal/app"}},
	{"github.com/go-sql-driver/mysql", []string{
		"internal/mysqlconn", "internal/source", "internal/ledger", "internal/guard", "internal/binlog", "internal/app", "internal/testenv", "internal/bench"}},
	{"github.com/alicebob/miniredis", []string{"internal/embedded"}},
	{"go.opentelemetry.io/", []string{"internal/tracing"}},
	{"modernc.org/", []string{"internal/embedded"}},
	{module + "internal/embedded", []string{"cmd", "internal/embedded"}},
}

// demoOnly imports must be in files that the build tag noembed leaves out.
var demoOnly = []string{"github.com/alicebob/miniredis", "modernc.org/", module + "internal/embedded"}

// file is what the rules look at.
type file struct {
	name    string // slash-separated, from the module's root
	pkg     string // its directory
	imports []string
	noembed bool // is left out under the build tag noembed
}

func TestImportsFollowThePicture(t *testing.T) {
	root := os.DirFS("../..")
	files, err := read(root)
	require.NoError(t, err)
	require.Greater(t, len(files), 10, "the module's files were not found")
	for _, complaint := range check(files) {
		t.Error(complaint)
	}
}

// read parses the import clauses of every Go file of the module but the tests: those may import what they need.
func read(root fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if name != "." && skipDir(root, name) {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parse(root, name)
		files = append(files, f)
		return err
	})
	return files, err
}

// skipDir: directories that the go command skips as well, nested modules among them.
func skipDir(root fs.FS, dir string) bool {
	base := path.Base(dir)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" {
		return true
	}
	_, err := fs.Stat(root, path.Join(dir, "go.mod"))
	return err == nil
}

func parse(root fs.FS, name string) (file, error) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return file{}, err
	}
	tree, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	f := file{name: name, pkg: path.Dir(name), noembed: leftOut(tree)}
	for _, spec := range tree.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, imported)
	}
	return f, nil
}

// leftOut: the file's build constraint keeps it out wherever noembed is set.
func leftOut(tree *ast.File) bool {
	for _, group := range tree.Comments {
		for _, c := range group.List {
			if c.Pos() > tree.Package || !constraint.IsGoBuild(c.Text) {
				continue
			}
			expr, err := constraint.Parse(c.Text)
			return err == nil && needsEmbed(expr)
		}
	}
	return false
}

func needsEmbed(expr constraint.Expr) bool {
	switch x := expr.(type) {
	case *constraint.NotExpr:
		tag, ok := x.X.(*constraint.TagExpr)
		return ok && tag.Tag == "noembed"
	case *constraint.AndExpr:
		return needsEmbed(x.X) || needsEmbed(x.Y)
	case *constraint.OrExpr:
		return needsEmbed(x.X) && needsEmbed(x.Y)
	}
	return false
}

func check(files []file) []string {
	var complaints []string
	add := func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
	demoFiles := 0
	for _, f := range files {
		floor, family := place(f.pkg)
		if family == "" {
			add("%s: package %s stands on no floor: place it in the list of floors", f.name, f.pkg)
			continue
		}
		for _, imported := range f.imports {
			checkFences(f, imported, add)
			if f.pkg == "tasks" {
				checkTasks(f, imported, add)
			}
			own, ok := strings.CutPrefix(imported, module)
			if !ok || slices.Contains(forTests, family) {
				continue
			}
			checkFloor(f, floor, family, own, add)
			if family == "cmd" && own == "internal/embedded" {
				demoFiles++
			}
		}
	}
	if demoFiles > 1 {
		add("%d files of cmd import internal/embedded: one is enough", demoFiles)
	}
	return complaints
}

// place is the floor (0 is the roof) and the family of a package; the family is "" for one that is not placed.
func place(pkg string) (floor int, family string) {
	within := func(member string) bool { return pkg == member || strings.HasPrefix(pkg, member+"/") }
	for i, members := range floors {
		if k := slices.IndexFunc(members, within); k >= 0 {
			return i, members[k]
		}
	}
	if k := slices.IndexFunc(forTests, within); k >= 0 {
		return len(floors), forTests[k]
	}
	return 0, ""
}

func checkFloor(f file, floor int, family, imported string, add func(string, ...any)) {
	below, other := place(imported)
	switch {
	case other == "": // complained about at its own files
	case other == family:
	case slices.Contains(forTests, other):
		add("%s imports %s: only tests may", f.name, imported)
	case below == floor:
		add("%s imports %s sideways: both stand on the same floor", f.name, imported)
	case below < floor:
		add("%s imports %s upwards", f.name, imported)
	}
}

func checkFences(f file, imported string, add func(string, ...any)) {
	_, family := place(f.pkg)
	for _, fence := range fences {
		if beginsWith(imported, fence.prefix) && !slices.Contains(fence.in, family) {
			add("%s imports %s: only %s may", f.name, imported, strings.Join(fence.in, ", "))
		}
	}
	isDemo := func(prefix string) bool { return beginsWith(imported, prefix) }
	if slices.ContainsFunc(demoOnly, isDemo) && family != "internal/embedded" && !f.noembed {
		add("%s imports %s without //go:build !noembed", f.name, imported)
	}
}

// checkTasks: an upstream that imports tasks gets asynq and the standard library, nothing more.
func checkTasks(f file, imported string, add func(string, ...any)) {
	first, _, _ := strings.Cut(imported, "/")
	if strings.Contains(first, ".") && !beginsWith(imported, "github.com/hibiken/asynq") {
		add("%s imports %s: tasks may import asynq and the standard library only", f.name, imported)
	}
}

// beginsWith: the import path is prefix or lies under it.
func beginsWith(imported, prefix string) bool {
	return imported == prefix || strings.HasPrefix(imported, strings.TrimSuffix(prefix, "/")+"/")
}
