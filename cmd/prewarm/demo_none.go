//go:build noembed

package main

import "errors"

// DemoCmd is left out of production binaries, together with the servers that it embeds.
type DemoCmd struct{}

// Run says where the demo is.
func (*DemoCmd) Run() error {
	return usageError{errors.New("this binary was built without the demo; run `go run ./cmd/prewarm demo` in the repository")}
}
