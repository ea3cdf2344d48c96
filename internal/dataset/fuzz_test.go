package dataset

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzObjectReadsBack: whatever the columns hold, the object is JSON that encoding/json reads the same values from, or
// the row is a reject.
func FuzzObjectReadsBack(f *testing.F) {
	f.Add("text", "42", "1.5", []byte{1}, `{"a":1}`)
	f.Add("a\"\\\n\x00\u2028<", "-9223372036854775808", "1e+300", []byte{}, `[null]`)
	f.Add("\xff", "0007", "-0", []byte{255, 0}, `"é`)
	cols := []Column{{Name: "t", Kind: KindText}, {Name: "i", Kind: KindInt}, {Name: "f", Kind: KindFloat},
		{Name: "b", Kind: KindBinary}, {Name: "j", Kind: KindJSON}}
	f.Fuzz(func(t *testing.T, text, integer, float string, binary []byte, doc string) {
		e := compile(t, Spec{Key: "{t}"}, len(cols), cols...)
		row := []sql.RawBytes{sql.RawBytes(text), sql.RawBytes(integer), sql.RawBytes(float), binary, sql.RawBytes(doc)}
		for i := range row {
			if row[i] == nil {
				row[i] = sql.RawBytes{}
			}
		}
		out, err := e.AppendObject(nil, row)
		if err != nil {
			require.ErrorAs(t, err, new(*RowError))
			require.Empty(t, out)
			return
		}
		require.True(t, utf8.Valid(out))
		var got struct {
			T string
			I json.Number
			F json.Number
			B []byte
			J json.RawMessage
		}
		require.NoError(t, json.Unmarshal(out, &got), "%s", out)
		require.Equal(t, text, got.T)
		require.True(t, bytes.Equal(binary, got.B), base64.StdEncoding.EncodeToString(binary))
		require.Equal(t, bytes.TrimSpace([]byte(doc)), bytes.TrimSpace(got.J))
		if want, err := strconv.ParseInt(integer, 10, 64); err == nil {
			have, err := got.I.Int64()
			require.NoError(t, err)
			require.Equal(t, want, have)
		}
		want, err := strconv.ParseFloat(float, 64)
		require.NoError(t, err)
		have, err := got.F.Float64()
		require.NoError(t, err)
		require.Equal(t, math.Float64bits(want), math.Float64bits(have))
	})
}

func FuzzTemplate(f *testing.F) {
	f.Add("user:{shop}:{id}")
	f.Add("{{{shop}}}")
	f.Fuzz(func(t *testing.T, s string) {
		pieces, err := parseTemplate(s)
		if err != nil {
			return
		}
		var back bytes.Buffer
		for _, p := range pieces {
			if p.name != "" {
				back.WriteString("{" + p.name + "}")
				continue
			}
			back.Write(bytes.ReplaceAll(bytes.ReplaceAll([]byte(p.text), []byte("{"), []byte("{{")), []byte("}"), []byte("}}")))
		}
		require.Equal(t, s, back.String())
	})
}
