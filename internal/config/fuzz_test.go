package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzLoad: whatever a file holds, Load answers with a configuration that is valid or with an *Error.
func FuzzLoad(f *testing.F) {
	f.Add(Example)
	f.Add([]byte(minimal))
	f.Add([]byte("queue: {url: [\n"))
	f.Add([]byte("a: &a [*a, *a]\nqueue: *a\n"))
	f.Add([]byte("policy: {lead: ${X}, lease: !!str 5m}\n"))
	f.Add([]byte("datasets:\n  - <<: {name: a}\n    key: |\n      x\n"))
	path := filepath.Join(f.TempDir(), "prewarm.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, []string{"PREWARM_DB_PASSWORD=x"})
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("not an *Error: %v", err)
		}
		if err == nil && c.Validate() != nil {
			t.Fatal("loaded, and not valid")
		}
	})
}
