package dataset

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAWindowIsChecked(t *testing.T) {
	t.Parallel()
	paged := Spec{Name: "users", Table: "users", Shop: "shop_id", By: []string{"id"}, Columns: []string{"id"}, Key: "user:{shop}:{id}"}
	require.NoError(t, paged.Validate())
	for want, w := range map[string]Window{
		"":                             {"created_at", time.Hour},
		"window.column: is missing":    {"", time.Hour},
		"window.column: cannot":        {"NOW()", time.Hour},
		"window.keep: is 59m0s, short": {"created_at", 59 * time.Minute},
	} {
		s := paged
		s.Window = &w
		if want == "" {
			require.NoError(t, s.Validate())
			continue
		}
		require.ErrorContains(t, s.Validate(), want)
	}
	query := Spec{Name: "shop", Query: "SELECT id FROM shops WHERE id = :shop", Key: "shop:{id}", Window: &Window{"created_at", time.Hour}}
	require.ErrorContains(t, query.Validate(), "window: is for the table form")
}
