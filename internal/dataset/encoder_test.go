package dataset

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func compile(t testing.TB, s Spec, visible int, cols ...Column) *Encoder {
	t.Helper()
	e, err := Compile(s, cols, visible)
	require.NoError(t, err)
	return e
}

func raws(values ...any) []sql.RawBytes {
	row := make([]sql.RawBytes, len(values))
	for i, v := range values {
		if s, ok := v.(string); ok {
			row[i] = append(sql.RawBytes{}, s...)
		}
	}
	return row
}

func TestEachKindHasItsJSONAndItsText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind             Kind
		raw, json, plain string
	}{
		{KindInt, "-9223372036854775808", "-9223372036854775808", "-9223372036854775808"},
		{KindInt, "18446744073709551615", "18446744073709551615", "18446744073709551615"},
		{KindInt, "00042", "42", "42"},
		{KindInt, "0000", "0", "0"},
		{KindFloat, "1.2345670461654663", "1.2345670461654663", "1.2345670461654663"},
		{KindFloat, "-0.5", "-0.5", "-0.5"},
		{KindFloat, "1e+06", "1000000", "1000000"},
		{KindFloat, "1.5e-10", "0.00000000015", "0.00000000015"},
		{KindFloat, "1e15", "1e15", "1e15"},
		{KindFloat, "1e+300", "1e300", "1e300"},
		{KindFloat, "1e-16", "1e-16", "1e-16"},
		{KindFloat, "00001.5", "1.5", "1.5"},
		{KindDecimal, "12345678901234567890.1200", `"12345678901234567890.1200"`, "12345678901234567890.1200"},
		{KindTime, "2026-01-02 03:04:05.000006", `"2026-01-02 03:04:05.000006"`, "2026-01-02 03:04:05.000006"},
		{KindTime, "-838:59:59", `"-838:59:59"`, "-838:59:59"},
		{KindTime, "0000-00-00", `"0000-00-00"`, "0000-00-00"},
		{KindJSON, `{"a": [1, null, "<\u00e9>"]}`, `{"a": [1, null, "<\u00e9>"]}`, `{"a": [1, null, "<\u00e9>"]}`},
		{KindJSON, "null", "null", "null"},
		{KindBinary, "\x00\xff\"", `"AP8i"`, "\x00\xff\""},
		{KindBinary, "", `""`, ""},
		{KindBit, "\x00", "0", "0"},
		{KindBit, "\x01\x02", "258", "258"},
		{KindBit, "\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615", "18446744073709551615"},
		{KindText, "", `""`, ""},
		{KindText, "a\"b\\c\x00\x1f\n\r\t\x7f/<>&\u2028é直播🎬", "\"a\\\"b\\\\c\\u0000\\u001f\\n\\r\\t\x7f/<>&\u2028é直播🎬\"", "a\"b\\c\x00\x1f\n\r\t\x7f/<>&\u2028é直播🎬"},
	} {
		e := compile(t, Spec{Key: "k:{v}"}, 1, Column{Name: "v", Kind: c.kind})
		row := raws(c.raw)
		got, err := e.AppendObject(nil, row)
		require.NoError(t, err)
		require.Equal(t, `{"v":`+c.json+"}", string(got), "%v %q", c.kind, c.raw)
		text, ok, err := e.AppendText([]byte("x"), 0, row)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "x"+c.plain, string(text), "%v %q", c.kind, c.raw)
		key, err := e.AppendKey(nil, "s", row)
		require.NoError(t, err)
		require.Equal(t, "k:"+c.plain, string(key), "%v %q", c.kind, c.raw)
	}
}

func TestWhatCannotBeEncodedIsARowErrorAndAppendsNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind Kind
		raw  string
	}{
		{KindInt, ""}, {KindInt, "-"}, {KindInt, "12abc"}, {KindInt, "+1"}, {KindInt, "1.5"},
		{KindFloat, ""}, {KindFloat, "NaN"}, {KindFloat, "+Inf"}, {KindFloat, "1.5x"}, {KindFloat, "1e999"},
		{KindJSON, ""}, {KindJSON, "{"}, {KindJSON, "{\"a\":\"\xff\"}"}, {KindText, "a\xff"}, {KindTime, "\xff"},
		{KindBit, "123456789"},
	} {
		e := compile(t, Spec{Key: "k:{v}"}, 2, Column{Name: "a", Kind: KindText}, Column{Name: "v", Kind: c.kind})
		row := raws("first", c.raw)
		var bad *RowError
		dst, err := e.AppendObject([]byte("kept"), row)
		require.ErrorAs(t, err, &bad, "%v %q", c.kind, c.raw)
		require.Equal(t, "v", bad.Column)
		require.Equal(t, "kept", string(dst))
		dst, _, err = e.AppendText([]byte("kept"), 1, row)
		require.ErrorAs(t, err, &bad)
		require.Equal(t, "kept", string(dst))
		dst, err = e.AppendKey([]byte("kept"), "s", row)
		require.ErrorAs(t, err, &bad)
		require.Equal(t, "kept", string(dst))
	}
}

func TestNull(t *testing.T) {
	t.Parallel()
	e := compile(t, Spec{Key: "k:{shop}:{b}"}, 2, Column{Name: "a"}, Column{Name: "b"})
	got, err := e.AppendObject(nil, raws(nil, "x"))
	require.NoError(t, err)
	want := `{"a":null,"b":"x"}`
	require.Equal(t, want, string(got))
	text, ok, err := e.AppendText([]byte("x"), 0, raws(nil, "x"))
	require.NoError(t, err)
	require.False(t, ok, "a hash has no field for NULL")
	require.Equal(t, "x", string(text))
	var bad *RowError
	_, err = e.AppendKey(nil, "1", raws("x", nil))
	require.ErrorAs(t, err, &bad)
	require.Equal(t, "column b: is NULL, and part of the key", bad.Error())
}

func TestKeysAndFieldsAreMadeOfShopAndColumns(t *testing.T) {
	t.Parallel()
	s := Spec{Key: "sal:{{{shop}}}:{emp}:{day}", Field: "{day}@{shop}"}
	e := compile(t, s, 1, Column{Name: "amount", Kind: KindDecimal}, Column{Name: "emp", Kind: KindInt}, Column{Name: "day", Kind: KindTime})
	row := raws("1.50", "10001", "2010-01-01")
	key, err := e.AppendKey(nil, "d001", row)
	require.NoError(t, err)
	require.Equal(t, "sal:{d001}:10001:2010-01-01", string(key))
	field, err := e.AppendField(nil, "d001", row)
	require.NoError(t, err)
	require.Equal(t, "2010-01-01@d001", string(field))
	object, err := e.AppendObject(nil, row)
	require.NoError(t, err)
	want := `{"amount":"1.50"}`
	require.Equal(t, want, string(object), "hidden columns are not part of the value")
	require.Equal(t, []string{"amount"}, e.Columns())
	require.True(t, e.PerRow())
	require.Equal(t, []bool{false, true, true}, []bool{e.InKey(0), e.InKey(1), e.InKey(2)})

	shared := compile(t, Spec{Key: "staff:{shop}"}, 1, Column{Name: "id"})
	require.False(t, shared.PerRow())
	key, err = shared.AppendKey(nil, "7", nil)
	require.NoError(t, err)
	require.Equal(t, "staff:7", string(key))
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	id, name := Column{Name: "id", Kind: KindInt, Type: "bigint"}, Column{Name: "name"}
	for want, c := range map[string]struct {
		spec Spec
		cols []Column
	}{
		"key: there is no column nam; use {shop} or one of id, name": {Spec{Key: "{nam}"}, []Column{id, name}},
		"field: there is no column x":                                {Spec{Key: "k", Field: "{x}"}, []Column{id, name}},
		"returns two columns called id":                              {Spec{Key: "{id}"}, []Column{id, id}},
		"json: there is no column doc":                               {Spec{Key: "{id}", JSON: []string{"doc"}}, []Column{id, name}},
		"json: column id is bigint, not text":                        {Spec{Key: "{id}", JSON: []string{"id"}}, []Column{id, name}},
	} {
		_, err := Compile(c.spec, c.cols, len(c.cols))
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, new(*SpecError))
	}
}

func TestDeclaredJSONIsNested(t *testing.T) {
	t.Parallel()
	cols := []Column{{Name: "a<b"}, {Name: "doc"}}
	e := compile(t, Spec{Key: "k", JSON: []string{"doc"}}, 2, cols...)
	got, err := e.AppendObject(nil, raws("x", "[1]"))
	require.NoError(t, err)
	want := `{"a<b":"x","doc":[1]}`
	require.Equal(t, want, string(got))
	require.Equal(t, KindText, cols[1].Kind, "the caller's columns stay as they are")
}

// wideRow is what the encoder was measured with: 12 columns, about 290 bytes of JSON.
func wideRow(t testing.TB) (*Encoder, []sql.RawBytes) {
	t.Helper()
	kinds := []Kind{KindInt, KindText, KindText, KindInt, KindDecimal, KindText, KindTime, KindTime, KindInt, KindFloat, KindText, KindBit}
	names := strings.Fields("user_id nickname avatar level balance city created_at updated_at fans rating bio vip")
	cols := make([]Column, len(kinds))
	for i := range cols {
		cols[i] = Column{Name: names[i], Kind: kinds[i]}
	}
	s := Spec{Key: "user:{shop}:{user_id}"}
	return compile(t, s, len(cols), cols...), raws("1234567890", "nickname of a user", "https://img.example.com/a/1234567890.jpg", "12",
		"1234.50", "上海", "2026-01-02 03:04:05.123456", "2026-01-02 03:04:05", "98765", "4.5", nil, "\x01")
}

func TestEncodingDoesNotAllocate(t *testing.T) {
	e, row := wideRow(t)
	var key, value []byte
	require.Zero(t, testing.AllocsPerRun(100, func() {
		key, _ = e.AppendKey(key[:0], "1001", row)
		value, _ = e.AppendObject(value[:0], row)
		for i := range row {
			value, _, _ = e.AppendText(value[:0], i, row)
		}
	}))
}

func BenchmarkRow(b *testing.B) {
	e, row := wideRow(b)
	var key, value []byte
	b.ReportAllocs()
	for b.Loop() {
		key, _ = e.AppendKey(key[:0], "1001", row)
		value, _ = e.AppendObject(value[:0], row)
	}
	b.SetBytes(int64(len(value)))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
