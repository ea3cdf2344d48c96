package change_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/change"
)

func ptr(s string) *string { return &s }

func TestEveryFormIsRead(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		doc  string
		want []change.Change
	}{
		"own": {`{"changes":[{"dataset":"users","shop":1001,"key":["7","a"],"op":"delete","who":"crm","at":"2026-11-21T12:00:00Z"}]}`,
			[]change.Change{{Dataset: "users", Shop: "1001", Key: []string{"7", "a"}, Op: change.Delete, Who: "crm", At: at}}},
		"own, a single key": {`{"table":"shop_users","shop":"1001","key":18446744073709551615}`,
			[]change.Change{{Table: "shop_users", Shop: "1001", Key: []string{"18446744073709551615"}, Op: change.Refresh}}},
		"own, a key by columns": {`[{"database":"app","table":"t","key":{"id":7},"op":"update","before":{"id":6,"x":null}}]`,
			[]change.Change{{Database: "app", Table: "t", Op: change.Update, Before: change.Row{"id": ptr("7"), "x": nil}}}},
		"own, a shop": {`{"dataset":"staff","shop":"1"} {"dataset":"users","shop":"1"}`,
			[]change.Change{{Dataset: "staff", Shop: "1", Op: change.Refresh}, {Dataset: "users", Shop: "1", Op: change.Refresh}}},
		"debezium": {`{"schema":{},"payload":{"before":{"id":1,"shop_id":5,"ok":true},"after":null,"source":{"db":"app","table":"users","ts_ms":1795262400000},"op":"d","ts_ms":1}}`,
			[]change.Change{{Database: "app", Table: "users", Op: change.Delete, Who: "debezium", At: at, Before: change.Row{"id": ptr("1"), "shop_id": ptr("5"), "ok": ptr("1")}}}},
		"debezium without a schema": {`{"before":null,"after":{"id":1},"source":{"db":"app","table":"users"},"op":"c"}`,
			[]change.Change{{Database: "app", Table: "users", Op: change.Insert, Who: "debezium", After: change.Row{"id": ptr("1")}}}},
		"maxwell": {`{"database":"app","table":"users","type":"update","ts":1795262400,"xid":1,"commit":true,"data":{"id":1,"nick":"b","tags":["x"]},"old":{"nick":"a"}}`,
			[]change.Change{{Database: "app", Table: "users", Op: change.Update, Who: "maxwell", At: at,
				After: change.Row{"id": ptr("1"), "nick": ptr("b")}, Before: change.Row{"id": ptr("1"), "nick": ptr("a")}}}},
		"canal": {`{"data":[{"id":"1","n":null},{"id":"2","n":"x"}],"database":"app","es":1795262400000,"id":9,"isDdl":false,"mysqlType":{"id":"int"},"old":[{"n":"y"},{"id":"3"}],"pkNames":["id"],"sql":"","sqlType":{"id":4},"table":"users","ts":1795262400005,"type":"UPDATE"}`,
			[]change.Change{
				{Database: "app", Table: "users", Op: change.Update, Who: "canal", At: at, After: change.Row{"id": ptr("1"), "n": nil}, Before: change.Row{"id": ptr("1"), "n": ptr("y")}},
				{Database: "app", Table: "users", Op: change.Update, Who: "canal", At: at, After: change.Row{"id": ptr("2"), "n": ptr("x")}, Before: change.Row{"id": ptr("3"), "n": ptr("x")}},
			}},
	} {
		got, bad, err := change.Parse([]byte(c.doc))
		require.NoError(t, err, name)
		require.Empty(t, bad, name)
		require.Equal(t, c.want, got, name)
	}
}

func TestABadMessageDoesNotSinkTheOthers(t *testing.T) {
	t.Parallel()
	got, bad, err := change.Parse([]byte(`[{"dataset":"a","shop":"1"}, 7, {"op":"update"}, {"dataset":"b","op":"explode"}, {"dataset":"c","key":[{}]},
		{"database":"d","table":"t","type":"table-alter"}, {"isDdl":true,"type":"ALTER"}, {"dataset":"z"}]`))
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Len(t, bad, 6)
	for i, b := range bad {
		require.Equal(t, i+1, b.At)
		if i < 4 {
			require.ErrorIs(t, b.Err, change.ErrMalformed)
		} else {
			require.ErrorIs(t, b.Err, change.ErrNotRows)
		}
	}
}

func TestADocumentThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{"", " ", "{", "[", `{"changes":[]}`, "nonsense"} {
		_, _, err := change.Parse([]byte(doc))
		require.ErrorIs(t, err, change.ErrMalformed, doc)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"changes":[{"dataset":"u","shop":1,"key":{"id":[]}}]}`))
	f.Add([]byte(`{"payload":{"payload":{"source":{"table":"t"},"op":"u","before":{},"after":{"a":1e9}}}}`))
	f.Add([]byte(`{"isDdl":false,"type":"UPDATE","data":[{"a":"1"},null],"old":[null,{"b":null}]}`))
	f.Add([]byte(`{"type":"update","database":"d","data":null,"old":{"a":1}} null "x" 5`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		changes, bad, err := change.Parse(doc)
		if err != nil {
			require.ErrorIs(t, err, change.ErrMalformed)
			return
		}
		require.LessOrEqual(t, len(changes), change.MaxChanges)
		for _, b := range bad {
			require.Error(t, b.Err)
		}
		for _, c := range changes {
			require.NotEmpty(t, c.Op)
		}
	})
}
