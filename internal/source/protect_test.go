package source

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

func TestWhatIsDroppedOrMaskedIsNotRead(t *testing.T) {
	t.Parallel()
	e := newEnv(t, bindTables, "INSERT INTO b (shop, id, code, kind, score, flags, note, at, guid, down) VALUES (1, 1, 'secret', 'a', 1, 1, 'secret', NOW(), '', 1)")
	spec := bSpec()
	spec.Columns, spec.Drop, spec.Mask = []string{"id", "code", "note"}, []string{"CODE", "doc"}, map[string]string{"note": "*"}
	b, err := e.Bind(t.Context(), spec)
	require.NoError(t, err)
	_, err = b.ReadPage(t.Context(), "1", "", "", 10, func(row []sql.RawBytes) (bool, error) {
		require.Nil(t, row[1])
		require.Nil(t, row[2])
		object, err := b.Encoder().AppendObject(nil, row)
		require.JSONEq(t, `{"id":1,"note":"*"}`, string(object))
		return true, err
	})
	require.NoError(t, err)
}

// What is protected is known by its place in the row, and SELECT * has other places when the table has changed.
func TestRowsWhoseColumnsHaveMovedAreRefused(t *testing.T) {
	t.Parallel()
	e := newEnv(t, "CREATE TABLE s (id INT PRIMARY KEY, phone VARCHAR(20), name VARCHAR(20))", "INSERT INTO s VALUES (1, '13800138000', 'n')")
	spec := qSpec("SELECT * FROM s WHERE id = :shop")
	spec.Drop = []string{"phone"}
	b, err := e.Bind(t.Context(), spec)
	require.NoError(t, err)
	read := func() error {
		return b.ReadAll(t.Context(), "1", func(row []sql.RawBytes) (bool, error) {
			object, err := b.Encoder().AppendObject(nil, row)
			require.JSONEq(t, `{"id":1,"name":"n"}`, string(object))
			return true, err
		})
	}
	require.NoError(t, read())
	e.exec(t, "ALTER TABLE s MODIFY phone VARCHAR(20) AFTER name")
	err = read()
	require.ErrorAs(t, err, new(*dataset.SpecError))
	require.ErrorContains(t, err, "query: returns other columns than when prewarm started")
}
