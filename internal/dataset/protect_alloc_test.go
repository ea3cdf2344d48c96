//go:build !race

package dataset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The race detector has a sync.Pool forget at random.
func TestEncodingProtectedColumnsDoesNotAllocate(t *testing.T) {
	e := compile(t, protectedSpec(), 4, Column{Name: "balance", Kind: KindDecimal}, Column{Name: "id", Kind: KindInt}, Column{Name: "phone"}, Column{Name: "email"})
	row := raws("1.50", "42", "13800138000", "a@b.c")
	var key, value []byte
	run := func() {
		key, _ = e.AppendKey(key[:0], "1001", row)
		value, _ = e.AppendObject(value[:0], row)
	}
	run()
	require.Less(t, testing.AllocsPerRun(100, run), 1.0)
}
