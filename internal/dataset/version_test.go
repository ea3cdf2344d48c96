package dataset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func newerSpec(version string) Spec {
	return Spec{Name: "users", Key: "{id}", Write: WriteNewer, Version: version}
}

func TestVersionsAreComparedAsTheirTypeAsks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind        Kind
		declared    string
		order, want string // the order, or the error
	}{
		{KindInt, "bigint unsigned", OrderNumber, ""},
		{KindInt, "BIGINT", OrderNumber, ""},
		{KindDecimal, "decimal(20,6)", OrderNumber, ""},
		{KindTime, "datetime(3)", OrderTime, ""},
		{KindTime, "timestamp", OrderTime, ""},
		{KindTime, "TIMESTAMP", OrderTime, ""},
		{KindTime, "date", OrderTime, ""},
		{KindText, "varchar(26)", OrderText, ""},
		{KindText, "uuid", OrderText, ""},
		{KindTime, "time(6)", "", "column v is time(6), and begins again every day; use an integer"},
		{KindTime, "TIME", "", "column v is TIME, and begins again every day"},
		{KindText, "enum('a','b')", "", "column v is enum('a','b'), whose order is not that of its text"},
		{KindText, "SET", "", "column v is SET, whose order is not that of its text"},
		{KindFloat, "double", "", "column v is double, which is not exact"},
		{KindJSON, "json", "", "column v is json, which has no order"},
		{KindBinary, "binary(8)", "", "column v is binary(8), which has no order"},
		{KindBit, "bit(64)", "", "column v is bit(64), which has no order"},
	} {
		e, err := Compile(newerSpec("v"), []Column{{Name: "id", Kind: KindInt}, {Name: "v", Kind: c.kind, Type: c.declared}}, 2)
		if c.want != "" {
			require.ErrorContains(t, err, "version: "+c.want)
			require.ErrorAs(t, err, new(*SpecError))
			continue
		}
		require.NoError(t, err, c.declared)
		require.Equal(t, Version{Column: "v", Order: c.order}, e.Version())
	}
}

func TestTheVersionIsAColumnOfTheValue(t *testing.T) {
	t.Parallel()
	cols := []Column{{Name: "v", Kind: KindText, Type: "varchar(9)"}, {Name: "id", Kind: KindInt}}
	_, err := Compile(newerSpec("id"), cols, 1)
	require.ErrorContains(t, err, "version: there is no column id; name one of v")
	s := newerSpec("")
	s.ChangedAt = "V"
	_, err = Compile(s, cols, 1)
	require.ErrorContains(t, err, "changed_at: there is no column V")
	s = newerSpec("v")
	s.JSON = []string{"v"}
	_, err = Compile(s, cols, 1)
	require.ErrorContains(t, err, "which has no order")
	s = newerSpec("")
	s.ChangedAt = "v"
	e := compile(t, s, 1, cols...)
	require.Equal(t, WriteNewer, e.Write())
	require.Equal(t, Version{Column: "v", Order: OrderText}, e.Version())
	require.Equal(t, WriteAlways, compile(t, Spec{Key: "{id}", ChangedAt: "v"}, 1, cols...).Write())
	require.Zero(t, compile(t, Spec{Key: "{id}", ChangedAt: "v"}, 1, cols...).Version())
}

func TestAVersionIsItsTextAndNullIsNone(t *testing.T) {
	t.Parallel()
	e := compile(t, newerSpec("v"), 2, Column{Name: "id"}, Column{Name: "v", Kind: KindTime, Type: "datetime(3)"})
	got, err := e.AppendVersion([]byte("x"), raws("1", "2026-11-21 10:00:00.000"))
	require.NoError(t, err)
	require.Equal(t, "x2026-11-21 10:00:00.000", string(got))
	got, err = e.AppendVersion([]byte("x"), raws("1", nil))
	require.NoError(t, err)
	require.Equal(t, "x", string(got))
	_, err = e.AppendVersion(nil, raws("1", "\xff"))
	require.ErrorAs(t, err, new(*RowError))
}
