package dataset

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const testKey = "0123456789abcdef"

// digest is what a reader of the cache makes of a value that it knows.
func digest(text string) string {
	m := hmac.New(sha256.New, []byte(testKey))
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

func protectedSpec() Spec {
	return Spec{Name: "users", Query: "SELECT 1 WHERE 1 = :shop", Key: "user:{shop}:{email}", Drop: []string{"Balance"},
		Mask: map[string]string{"phone": `*"*`}, Hash: []string{"email"}, HashKey: testKey}
}

func TestProtectedColumnsAreLeftOutReplacedOrHashed(t *testing.T) {
	t.Parallel()
	e := compile(t, protectedSpec(), 4, Column{Name: "balance", Kind: KindDecimal}, Column{Name: "id", Kind: KindInt}, Column{Name: "phone"},
		Column{Name: "email", Nullable: true})
	row := raws("1.50", "0042", "13800138000", "a@b.c")
	object, err := e.AppendObject([]byte("x"), row)
	require.NoError(t, err)
	want := `x{"id":42,"phone":"*\"*","email":"` + digest("a@b.c") + `"}`
	require.Equal(t, want, string(object))
	key, err := e.AppendKey(nil, "7", row)
	require.NoError(t, err)
	require.Equal(t, "user:7:"+digest("a@b.c"), string(key))
	for i, want := range map[int]string{1: "42", 2: `*"*`, 3: digest("a@b.c")} {
		text, ok, err := e.AppendText(nil, i, row)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, want, string(text))
	}
	_, ok, err := e.AppendText(nil, 0, row)
	require.NoError(t, err)
	require.False(t, ok, "a hash loses the field")
	require.Equal(t, []bool{true, false, true, true}, []bool{e.Protected(0), e.Protected(1), e.Protected(2), e.Protected(3)})
	require.Equal(t, []bool{false, true, false, true}, []bool{e.Reads(0), e.Reads(1), e.Reads(2), e.Reads(3)})

	empty := raws(nil, "1", nil, nil)
	object, err = e.AppendObject(nil, empty)
	require.NoError(t, err)
	want = `{"id":1,"phone":"*\"*","email":null}`
	require.Equal(t, want, string(object), "a mask does not tell a NULL")
	_, err = e.AppendKey(nil, "7", empty)
	require.EqualError(t, err, "column email: is NULL, and part of the key")
	object, err = e.AppendObject([]byte("kept"), raws("1", "1", "1", "\xff"))
	require.EqualError(t, err, "column email: is not valid UTF-8")
	require.Equal(t, "kept", string(object))
}

func TestAHashIsOfTheTextForm(t *testing.T) {
	t.Parallel()
	for kind, c := range map[Kind][2]string{KindInt: {"0042", "42"}, KindFloat: {"1e+06", "1000000"}, KindBinary: {"\x00\xff", "\x00\xff"}, KindBit: {"\x01\x02", "258"},
		KindJSON: {`{"a": 1}`, `{"a": 1}`}} {
		e := compile(t, Spec{Name: "a", Key: "k", Hash: []string{"v"}, HashKey: testKey}, 1, Column{Name: "v", Kind: kind})
		object, err := e.AppendObject(nil, raws(c[0]))
		require.NoError(t, err)
		require.Equal(t, `{"v":"`+digest(c[1])+`"}`, string(object), kind)
	}
}

func TestAKeyWithAHashIsTakenApart(t *testing.T) {
	t.Parallel()
	s := Spec{Name: "a", Table: "t", Shop: "shop_id", By: []string{"id"}, Columns: []string{"email"}, Key: "u:{shop}:{email}:{id}", Hash: []string{"email"}, HashKey: testKey}
	e := compile(t, s, 1, Column{Name: "email"}, Column{Name: "id", Kind: KindInt})
	p, ok := e.Pattern("1")
	require.True(t, ok, "the text of a hash cannot hold a separator")
	row, ok := p.Row("u:1:" + digest("a@b.c") + ":5")
	require.True(t, ok)
	require.Equal(t, "5", string(row[1]))
	_, ok = p.Row("u:1:a@b.c:5")
	require.False(t, ok)
}

func TestAMisspeltColumnIsRefused(t *testing.T) {
	t.Parallel()
	cols := []Column{{Name: "id", Kind: KindInt}, {Name: "phone"}}
	for want, change := range map[string]func(*Spec){
		"drop: there is no column fone":          func(s *Spec) { s.Drop = []string{"fone"} },
		"mask: there is no column fone":          func(s *Spec) { s.Mask = map[string]string{"fone": "x"} },
		"hash: there is no column fone":          func(s *Spec) { s.Hash, s.HashKey = []string{"fone"}, testKey },
		"hash: needs a secret key":               func(s *Spec) { s.Hash = []string{"phone"} },
		"drop: leaves nothing to write":          func(s *Spec) { s.Drop = []string{"id", "phone"} },
		"mask: the text of phone is not valid U": func(s *Spec) { s.Mask = map[string]string{"phone": "\xff"} },
	} {
		_, err := Compile(with(shopSpec(), change), cols, len(cols))
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, new(*SpecError))
	}
	other := with(usersSpec(), func(s *Spec) { s.Key, s.Drop = "k:{id}", []string{"password"} })
	e, err := Compile(other, cols, len(cols))
	require.NoError(t, err, "the table may have it; who binds the dataset sees that")
	require.False(t, e.Protects())
}

func TestWhatCannotBeProtectedIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from   func() Spec
		change func(*Spec)
		want   string
	}{
		"drop in key": {shopSpec, func(s *Spec) { s.Drop = []string{"ID"} }, "drop: names ID, which is part of the key"},
		"mask in key": {shopSpec, func(s *Spec) { s.Mask = map[string]string{"id": "x"} }, "mask: names id, which is part of the key"},
		"mask in field": {shopSpec, func(s *Spec) {
			s.Key, s.Value, s.Field, s.Mask = "{shop}", ValueHash, "{id}", map[string]string{"id": "x"}
		}, "mask: names id"},
		"by":           {usersSpec, func(s *Spec) { s.Hash, s.HashKey = []string{"user_id"}, testKey }, "hash: names user_id, which tells rows apart"},
		"shop":         {usersSpec, func(s *Spec) { s.Drop = []string{"shop_id"} }, "drop: names shop_id, which tells rows apart"},
		"twice":        {usersSpec, func(s *Spec) { s.Drop = []string{"tags", "TAGS"} }, "drop: names TAGS twice"},
		"two ways":     {usersSpec, func(s *Spec) { s.Drop, s.Mask = []string{"tags"}, map[string]string{"Tags": "x"} }, "mask: names Tags, and so does drop"},
		"version":      {usersSpec, func(s *Spec) { s.Write, s.Version, s.Drop = WriteNewer, "tags", []string{"tags"} }, "drop: names tags, which write: newer compares"},
		"changed_at":   {usersSpec, func(s *Spec) { s.ChangedAt, s.Drop = "tags", []string{"tags"} }, "drop: names tags, which is changed_at"},
		"json":         {usersSpec, func(s *Spec) { s.JSON, s.Mask = []string{"tags"}, map[string]string{"tags": "x"} }, "mask: names tags, and so does json"},
		"not read":     {usersSpec, func(s *Spec) { s.Mask = map[string]string{"phone": "x"} }, "mask: names phone, which is not among columns"},
		"nothing left": {usersSpec, func(s *Spec) { s.Columns, s.Drop = []string{"tags"}, []string{"tags"} }, "drop: leaves nothing to write"},
		"no key":       {usersSpec, func(s *Spec) { s.Hash = []string{"tags"} }, "hash: needs a secret key"},
	} {
		err := with(c.from(), c.change).Validate()
		require.ErrorContains(t, err, c.want, name)
	}
	require.NoError(t, with(usersSpec(), func(s *Spec) {
		s.Drop, s.Mask, s.Hash, s.HashKey = []string{"password"}, map[string]string{"tags": ""}, []string{"nickname"}, testKey
	}).Validate())
	require.NoError(t, with(shopSpec(), func(s *Spec) { s.Hash, s.HashKey = []string{"id"}, testKey }).Validate(), "a key may hold a hash")
}

// TestNoProtectedValueIsWritten: whatever a row holds, and whichever of its columns are protected in which way, no value of
// these is in anything that the encoder makes of the row, errors included.
func TestNoProtectedValueIsWritten(t *testing.T) {
	t.Parallel()
	kinds := []Kind{KindText, KindInt, KindDecimal, KindTime, KindJSON, KindBinary, KindFloat}
	rapid.Check(t, func(t *rapid.T) {
		s := Spec{Name: "a", Key: "k:{shop}:{c0}", Field: "{c0}", HashKey: testKey, Mask: map[string]string{}}
		n := rapid.IntRange(2, 6).Draw(t, "columns")
		cols, row := make([]Column, n), make([]sql.RawBytes, n)
		for i := range cols {
			cols[i] = Column{Name: "c" + string(rune('0'+i)), Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
			how := protection(rapid.IntRange(0, 3).Draw(t, "how"))
			if i == 0 && how != shown {
				how = hashed
			}
			value := "shown"
			switch spelt := rapid.SampledFrom([]string{cols[i].Name, strings.ToUpper(cols[i].Name)}).Draw(t, "spelt"); how {
			case shown:
			case dropped:
				s.Drop = append(s.Drop, spelt)
			case masked:
				s.Mask[spelt] = rapid.SampledFrom([]string{"", "***", "\""}).Draw(t, "mask")
			case hashed:
				s.Hash = append(s.Hash, spelt)
			}
			if how != shown {
				// Longer than what could stand there by chance; some do not fit the kind.
				value = rapid.SampledFrom([]string{"31415926535897", "\"31415926535897\"", "31415926535897\xff", "x31415926535897"}).Draw(t, "value")
			}
			if row[i] = sql.RawBytes(value); rapid.IntRange(0, 5).Draw(t, "null") == 0 {
				row[i] = nil
			}
		}
		e, err := Compile(s, cols, n)
		if err != nil {
			require.ErrorContains(t, err, "leaves nothing to write")
			return
		}
		var made []string
		keep := func(out []byte, err error) {
			made = append(made, string(out))
			if err != nil {
				made = append(made, err.Error())
			}
		}
		keep(e.AppendKey(nil, "s", row))
		keep(e.AppendField(nil, "s", row))
		keep(e.AppendObject(nil, row))
		for i := range cols {
			text, _, err := e.AppendText(nil, i, row)
			keep(text, err)
		}
		for _, out := range made {
			require.NotContains(t, out, "31415926535897")
			require.NotContains(t, out, "MzE0MTU5MjY1MzU4OTc", "nor its base64")
		}
	})
}
