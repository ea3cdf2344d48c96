package intake

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

const announced = `{"broadcast_id":"b","shop_id":"1001","starts_at":"2026-11-21T19:00:00+08:00","ends_at":"2026-11-21T23:00:00+08:00"}`

func TestParseReadsARequest(t *testing.T) {
	t.Parallel()
	id, items, err := parse([]byte(`{"request_id":"r-1","unknown":1,"broadcasts":[` + announced + `,{"broadcast_id":"c","shop_id":"2","cancelled":true}]}`))
	require.NoError(t, err)
	require.Equal(t, "r-1", id)
	require.Len(t, items, 2)
	require.NoError(t, items[0].err)
	require.True(t, time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC).Equal(items[0].StartsAt))
	require.NoError(t, items[1].err)
	require.True(t, items[1].Cancelled)

	_, items, err = parse([]byte(`{"broadcasts":[]}`))
	require.NoError(t, err)
	require.Empty(t, items)
}

func TestParseRefusesWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	many := `{"broadcasts":[` + strings.Repeat(`{},`, MaxBroadcasts) + `{}]}`
	for _, c := range []struct {
		body, want string
		err        error
	}{
		{``, "send", ErrMalformed},
		{`[]`, "a JSON array stands where an object should", ErrMalformed},
		{`{}`, `"broadcasts" is missing`, ErrMalformed},
		{`{"broadcasts":null}`, `"broadcasts" is missing`, ErrMalformed},
		{`{"broadcasts":{}}`, "broadcasts must be a list of broadcasts", ErrMalformed},
		{`{"request_id":7,"broadcasts":[]}`, "request_id must be a string", ErrMalformed},
		{`{"request_id":"` + strings.Repeat("r", 191) + `","broadcasts":[]}`, "request_id has 191", ErrMalformed},
		{`{"broadcasts":[{]}`, "invalid character", ErrMalformed},
		{many, "10001 broadcasts", ErrTooLarge},
	} {
		_, _, err := parse([]byte(c.body))
		require.ErrorIs(t, err, c.err, "%.60s", c.body)
		require.ErrorContains(t, err, c.want, "%.60s", c.body)
	}
}

func TestABadBroadcastIsNamedAndAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, shop, want string }{
		{`{"shop_id":12345678,"broadcast_id":"b"}`, "12345678", "shop_id must be a string, not a JSON number"},
		{`{"shop_id":"1","starts_at":"tomorrow"}`, "1", `"tomorrow" is not a time of the form`},
		{`{"shop_id":"1","starts_at":5}`, "1", "is not a time of the form"},
		{`{"shop_id":"1","force":"yes"}`, "1", "force must be true or false"},
		{`7`, "", "a JSON number stands where an object should"},
	} {
		_, items, err := parse([]byte(`{"broadcasts":[` + announced + `,` + c.body + `]}`))
		require.NoError(t, err, c.body)
		require.Len(t, items, 2)
		require.NoError(t, items[0].err)
		require.ErrorContains(t, items[1].err, c.want, c.body)
		require.Equal(t, c.shop, items[1].ShopID, c.body)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"request_id":"r","broadcasts":[` + announced + `,7,null,{"shop_id":1e400}]}`))
	f.Add([]byte(`{"broadcasts":[{"shop_id":"\ud800","starts_at":"x"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, items, err := parse(body)
		if err != nil {
			require.Empty(t, items)
			require.NotPanics(t, func() { _ = err.Error() })
			return
		}
		require.True(t, json.Valid(body))
		require.LessOrEqual(t, len(items), MaxBroadcasts)
		for _, it := range items {
			for _, id := range []string{short(it.ShopID), short(it.BroadcastID)} {
				require.True(t, utf8.ValidString(id))
				require.LessOrEqual(t, utf8.RuneCountInString(id), maxID+1)
			}
			_ = check(it.Broadcast, policy(), noon)
		}
	})
}
