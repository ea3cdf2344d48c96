//go:build !noembed

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/embedded"
)

func TestTheDemoBeginsWellBeforeItsDeadlines(t *testing.T) {
	t.Parallel()
	e := &evening{DemoCmd: &DemoCmd{}, stack: &embedded.Stack{}}
	p := e.configure(t.Context()).Policy
	require.GreaterOrEqual(t, p.Lead-p.ReadyBefore, 10*time.Second, "both count from the broadcast's start")
}
