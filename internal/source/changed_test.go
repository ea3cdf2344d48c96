package source

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestAMarkIsBehindTheNewestValueAndTheClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 19, 0, 0, 123456000, time.UTC)
	for _, c := range []struct {
		kind         dataset.Kind
		newest, want string
	}{
		{dataset.KindTime, "2026-11-21 18:00:00", "2026-11-21 17:59:30.000000"},
		{dataset.KindTime, "2026-11-21 10:00:00.5", "2026-11-21 09:59:30.500000"}, // of a zone of its own
		{dataset.KindTime, "2099-01-01 00:00:00", "2026-11-21 18:59:30.123456"},   // it must not hide what comes before
		{dataset.KindTime, "2026-11-20", "2026-11-19 23:59:30.000000"},
		{dataset.KindTime, "", beginning},
		{dataset.KindTime, "0000-00-00 00:00:00", beginning},
		{dataset.KindInt, "1795287600", "1795287570"},
		{dataset.KindInt, "1795287500000", "1795287470000"},
		{dataset.KindInt, "1795287500000000", "1795287470000000"},
		{dataset.KindInt, "99999999999", "1795287570"},
		{dataset.KindInt, "", "-1"},
	} {
		require.Equal(t, c.want, markOf(c.kind, c.newest, now, 30*time.Second), c)
	}
}

func TestChangedRowsAreFoundByTheirIndexHiddenOnesToo(t *testing.T) {
	t.Parallel()
	e := newEnv(t, `CREATE TABLE c (shop INT NOT NULL, id INT NOT NULL PRIMARY KEY, hidden INT NOT NULL, at DATETIME(6), KEY by_shop (shop, id), KEY changed (shop, at))`,
		`INSERT INTO c SELECT seq % 2, seq, seq % 5 = 0, '2026-01-01' + INTERVAL seq DIV 1000 SECOND FROM `+testenv.Numbers(1, 6000))
	spec := dataset.Spec{Name: "c", Table: "c", Shop: "shop", By: []string{"id"}, Columns: []string{"id"}, Key: "c:{id}", Where: "hidden = 0", ChangedAt: "at"}
	b := e.bind(t, spec)
	found := map[string]int{}
	changed := func(mark string) (n int) {
		require.NoError(t, b.Changed(t.Context(), "1", mark, func(rows []string) error {
			for _, r := range rows {
				found[r]++
			}
			n += len(rows)
			return nil
		}))
		return n
	}
	require.Equal(t, 2500, changed("2026-01-01 00:00:00.500000"), "those of second 1 and later, over pages that end among equals")
	require.Len(t, found, 2500)
	require.Contains(t, found, `["1005"]`, "where does not hold any more")
	mark, asOf, err := b.Mark(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, "2025-12-31 23:59:35.000000", mark)
	require.WithinDuration(t, time.Now(), asOf, time.Minute)
	require.Equal(t, 3000, changed(mark))
	mark, _, err = b.Mark(t.Context(), "7")
	require.NoError(t, err)
	require.Equal(t, beginning, mark, "a shop without rows")
	e.exec(t, "UPDATE c SET at = '2099-01-01' WHERE id = 1", "UPDATE c SET at = '2026-01-01 00:01:00' WHERE id = 3")
	require.Equal(t, 2, changed("2026-01-01 00:00:59"))

	e.exec(t, "ALTER TABLE c DROP INDEX changed")
	const remedy = "run CREATE INDEX `prewarm_c_changed` ON `c` (`shop`, `at`)"
	spec.Refresh = &dataset.Refresh{Every: time.Minute}
	_, err = e.Bind(t.Context(), spec)
	require.ErrorContains(t, err, remedy)
	require.True(t, Definitive(err))
	spec.Refresh = nil // nobody has asked for it
	unasked := e.bind(t, spec)
	require.False(t, unasked.FindsChanged())
	require.ErrorContains(t, unasked.NotRefreshed(), remedy)
	spec.Refresh = &dataset.Refresh{Off: true}
	require.False(t, e.bind(t, spec).FindsChanged())
}

func TestARowThatIsToldOfIsFound(t *testing.T) {
	t.Parallel()
	e := newEnv(t, `CREATE TABLE k (shop INT NOT NULL, id BIGINT NOT NULL, code BINARY(2) NOT NULL, mail VARCHAR(20) NOT NULL, PRIMARY KEY (shop, id, code))`)
	spec := dataset.Spec{Name: "k", Table: "k", Shop: "shop", By: []string{"id", "code"}, Columns: []string{"mail"}, Key: "k:{shop}:{id}:{code}"}
	b := e.bind(t, spec)
	told := func(columns map[string]string) Told {
		return func(c string) (string, bool) { v, ok := columns[c]; return v, ok }
	}
	row, ok := b.RowTold(told(map[string]string{"id": "7", "code": "0x4142"}))
	require.True(t, ok)
	require.Equal(t, `["7","0x4142"]`, row)
	key, ok := b.CachedKey("5", row)
	require.True(t, ok)
	require.Equal(t, "k:5:7:AB", key)
	require.False(t, b.KeyBeyondRow())
	for _, wrong := range []map[string]string{{"id": "7"}, {"id": "x", "code": "0x4142"}, {"id": "7", "code": "QUI="}, {"id": "007", "code": "0x4142"}} {
		_, ok := b.RowTold(told(wrong))
		require.False(t, ok, wrong)
	}
	shop, ok := b.ShopTold("", "k", told(map[string]string{"shop": "5"}))
	require.True(t, ok)
	require.Equal(t, "5", shop)
	_, ok = b.ShopTold("", "k", told(map[string]string{"shop": "5a"}))
	require.False(t, ok)
	require.True(t, b.ReadsTable("", "K"))
	require.False(t, b.ReadsTable("elsewhere", "k"))

	spec.Key = "k:{shop}:{id}:{code}:{mail}"
	b = e.bind(t, spec)
	require.True(t, b.KeyBeyondRow())
	_, ok = b.CachedKey("5", row)
	require.False(t, ok)
	key, ok = b.KeyTold("5", told(map[string]string{"id": "7", "code": "AB", "mail": "a@b"}))
	require.True(t, ok)
	require.Equal(t, "k:5:7:AB:a@b", key)

	q := e.bind(t, dataset.Spec{Name: "q", Query: "SELECT mail FROM k WHERE shop = :shop", Key: "q:{shop}", Value: dataset.ValueJSONArray})
	shop, ok = q.ShopTold("", "k", told(map[string]string{"shop": "5"}))
	require.True(t, ok)
	require.Equal(t, "5", shop)
}
