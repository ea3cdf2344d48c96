package intake

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// at is a time of a Saturday.
func at(hour, minute int) time.Time { return time.Date(2026, 11, 21, hour, minute, 0, 0, time.UTC) }

func came(first, last time.Time, accepted int) ledger.IntakeDay {
	return ledger.IntakeDay{First: first, Last: last, Accepted: accepted}
}

func TestWhatIsUsualOfAWeekday(t *testing.T) {
	t.Parallel()
	day, none := came(at(10, 0), at(16, 0), 100), ledger.IntakeDay{}
	odd := came(at(3, 0), at(23, 0), 7)
	for name, c := range map[string]struct {
		days []ledger.IntakeDay
		want usual
		ok   bool
	}{
		"nothing is known":      {nil, usual{}, false},
		"one week":              {[]ledger.IntakeDay{day}, usual{}, false},
		"two weeks":             {[]ledger.IntakeDay{day, day}, usual{10 * time.Hour, 16 * time.Hour, 0, 100, 100}, true},
		"one odd day":           {[]ledger.IntakeDay{day, odd, day, day}, usual{10 * time.Hour, 16 * time.Hour, 0, 100, 7}, true},
		"a day without any":     {[]ledger.IntakeDay{day, none, day, day}, usual{10 * time.Hour, 16 * time.Hour, 0, 100, 0}, true},
		"every other week only": {[]ledger.IntakeDay{day, none, day, none}, usual{}, false},
		"times that differ": {[]ledger.IntakeDay{came(at(10, 0), at(16, 0), 90), came(at(11, 0), at(16, 0), 110), came(at(12, 0), at(17, 0), 100), came(at(14, 0), at(18, 0), 120)},
			usual{11 * time.Hour, 16 * time.Hour, 2 * time.Hour, 100, 90}, true},
	} {
		got, ok := usually(c.days)
		require.Equal(t, c.ok, ok, name)
		require.Equal(t, c.want, got, name)
	}
}

func TestADayIsJudgedByWhatIsUsual(t *testing.T) {
	t.Parallel()
	u := usual{first: 10 * time.Hour, last: 16 * time.Hour, accepted: 100, least: 80}
	w := config.IntakeWatch{LateAfter: 30 * time.Minute, ShortBelow: 0.5}
	none := ledger.IntakeDay{}
	for name, c := range map[string]struct {
		now   time.Time
		today ledger.IntakeDay
		u     usual
		w     config.IntakeWatch
		want  string
	}{
		"early":                   {at(9, 0), none, u, w, ""},
		"a little late":           {at(10, 30), none, u, w, ""},
		"late":                    {at(10, 31), none, u, w, alert.IntakeLate},
		"late for such a day":     {at(10, 31), none, usual{first: u.first, last: u.last, wobble: time.Hour, accepted: 100}, w, ""},
		"late, and then it came":  {at(10, 31), came(at(10, 30), at(10, 30), 1), u, w, ""},
		"not over":                {at(16, 30), came(at(10, 0), at(11, 0), 3), u, w, ""},
		"short":                   {at(16, 31), came(at(10, 0), at(11, 0), 49), u, w, alert.IntakeShort},
		"half":                    {at(16, 31), came(at(10, 0), at(11, 0), 50), u, w, ""},
		"short, as it was before": {at(16, 31), came(at(10, 0), at(11, 0), 49), usual{u.first, u.last, 0, 100, 49}, w, ""},
		"short, and nobody minds": {at(16, 31), came(at(10, 0), at(11, 0), 1), u, config.IntakeWatch{LateAfter: 30 * time.Minute}, ""},
		"empty":                   {at(16, 31), none, u, w, alert.IntakeEmpty},
		"empty, until midnight":   {at(23, 59), none, u, w, alert.IntakeEmpty},
		"nothing yet at night":    {at(0, 0), none, u, w, ""},
		"more than usual":         {at(23, 0), came(at(1, 0), at(22, 0), 500), u, w, ""},
	} {
		got := judgeDay(c.now, c.today, c.u, c.w)
		require.Equal(t, c.want, got.name, name)
		require.Equal(t, c.want == "", got.reason == "", name)
		require.Equal(t, c.want == alert.IntakeLate || c.want == alert.IntakeEmpty, got.late > 0, name)
	}
}

// A day that is like each of those before it is never told, at no time of it.
func TestAUsualDayIsNeverTold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minute := rapid.IntRange(0, 24*60-1)
		first := minute.Draw(t, "first")
		last := rapid.IntRange(first, 24*60-1).Draw(t, "last")
		day := came(at(0, first), at(0, last), rapid.IntRange(1, 1000).Draw(t, "accepted"))
		days := make([]ledger.IntakeDay, rapid.IntRange(2, 4).Draw(t, "weeks"))
		for i := range days {
			days[i] = day
		}
		u, ok := usually(days)
		if !ok {
			t.Fatal("it is usual")
		}
		now := minute.Draw(t, "now")
		today := day
		if now < first {
			today = ledger.IntakeDay{}
		}
		w := config.IntakeWatch{LateAfter: time.Minute * time.Duration(rapid.IntRange(1, 120).Draw(t, "late_after")), ShortBelow: rapid.Float64Range(0, 1).Draw(t, "short")}
		if f := judgeDay(at(0, now), today, u, w); f.name != "" {
			t.Fatalf("%+v", f)
		}
	})
}
