package alert_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var now = time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC)

// record fires since an hour, was raised so long ago, and its run is in a state.
func record(name, state string, silent time.Duration) alert.Record {
	return alert.Record{
		Alert: alert.Alert{Name: name, Severity: alert.Warning, Run: "r1", At: now.Add(-silent)}, State: alert.Firing,
		Since: now.Add(-time.Hour), RunState: state, EndsAt: now.Add(time.Hour), Seq: 1,
	}
}

func TestWhenAnAlertIsOver(t *testing.T) {
	t.Parallel()
	const after = 10 * time.Minute
	over := record(alert.RunFailed, "failed", time.Hour)
	over.EndsAt = now
	young := record(alert.RunLate, "ready", 59*time.Second)
	young.Since = now.Add(-59 * time.Second)
	for name, c := range map[string]struct {
		record alert.Record
		want   string
	}{
		"a late run is ready":              {record(alert.RunLate, "ready", time.Minute), "the run is ready"},
		"a late run goes on":               {record(alert.RunLate, "warming", time.Hour), ""},
		"a failed run is retried":          {record(alert.RunFailed, "planned", time.Minute), "the run is planned"},
		"a failed run stays so":            {record(alert.RunFailed, "failed", 5*time.Hour), ""},
		"a failed run's broadcast is over": {over, "the broadcast is over"},
		"a failed run is gone":             {record(alert.RunFailed, "", time.Hour), "it was not raised for 10m0s"},
		"a unit failed, the run is ready":  {record(alert.UnitFailed, "ready", time.Minute), "the run is ready"},
		"a unit failed a while ago":        {record(alert.UnitFailed, "warming", after), "it was not raised for 10m0s"},
		"a unit failed just now":           {record(alert.UnitFailed, "warming", after-1), ""},
		"the guard goes on stopping":       {record(alert.GuardStop, "", time.Second), ""},
		"it was raised a moment ago":       {record(alert.RunLate, "ready", 19*time.Second), ""},
		"nobody could have seen it":        {young, ""},
		"a name of another release":        {record("unheard_of", "ready", after), "it was not raised for 10m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, alert.Over(c.record, now, after))
		})
	}
}

func TestWhatASinkIsTold(t *testing.T) {
	t.Parallel()
	since := now.Add(-2 * time.Hour)
	with := func(change func(*alert.Record)) alert.Record {
		r := record(alert.RunLate, "warming", time.Minute)
		change(&r)
		return r
	}
	resolved := func(r *alert.Record, ago time.Duration) {
		at := now.Add(-ago)
		r.State, r.ResolvedAt, r.Seq = alert.Resolved, &at, 2
	}
	for name, c := range map[string]struct {
		record alert.Record
		want   bool
	}{
		"new":            {with(func(*alert.Record) {}), true},
		"told":           {with(func(r *alert.Record) { r.SentSeq, r.SentAt = 1, now.Add(-time.Minute) }), false},
		"told long ago":  {with(func(r *alert.Record) { r.SentSeq, r.SentAt = 1, now.Add(-time.Hour) }), true},
		"fires again":    {with(func(r *alert.Record) { r.Seq, r.SentSeq, r.SentAt = 3, 2, now }), true},
		"too mild":       {with(func(r *alert.Record) { r.Severity = alert.Info }), false},
		"worse":          {with(func(r *alert.Record) { r.Severity = alert.Critical }), true},
		"resolved":       {with(func(r *alert.Record) { resolved(r, time.Minute); r.SentSeq = 1 }), true},
		"resolved, told": {with(func(r *alert.Record) { resolved(r, time.Minute); r.SentSeq, r.SentAt = 2, since }), false},
		"came and went":  {with(func(r *alert.Record) { resolved(r, time.Minute) }), true},
		"before its day": {with(func(r *alert.Record) { resolved(r, 3*time.Hour) }), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			due := alert.Due([]alert.Record{c.record}, alert.Target{MinSeverity: alert.Warning, Repeat: time.Hour}, since, now)
			require.Equal(t, c.want, len(due) == 1)
		})
	}
	never := with(func(r *alert.Record) { r.SentSeq, r.SentAt = 1, now.Add(-100*time.Hour) })
	require.Empty(t, alert.Due([]alert.Record{never}, alert.Target{}, since, now), "without repeat nothing is told again")
}

func TestTheWorstComesFirst(t *testing.T) {
	t.Parallel()
	mild, bad, over := record(alert.Duplicate, "", 0), record(alert.RunFailed, "failed", 0), record(alert.RunFailed, "ready", 0)
	mild.Severity, bad.Severity, over.Severity = alert.Info, alert.Critical, alert.Critical
	over.State, over.ResolvedAt = alert.Resolved, &now
	due := alert.Due([]alert.Record{over, mild, bad}, alert.Target{}, now, now)
	m := alert.Links{}.MessageOf(due)
	require.Equal(t, "prewarm: 1 critical, 1 info, 1 resolved", m.Title())
	require.Equal(t, alert.Critical, m.Status())
}

func TestBackoffGrowsToItsMost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1000).Draw(t, "failures")
		require.LessOrEqual(t, alert.Backoff(n), alert.Backoff(n+1))
		require.LessOrEqual(t, alert.Backoff(n), 10*time.Minute)
		require.GreaterOrEqual(t, alert.Backoff(n), 5*time.Second)
	})
	require.Equal(t, 10*time.Minute, alert.Backoff(100))
}

func TestAMessageSaysAllThereIs(t *testing.T) {
	t.Parallel()
	r := record(alert.RunLate, "warming", 0)
	deadline := now.Add(-252 * time.Second)
	r.Shop, r.Broadcast, r.Deadline = "1001", "b-1", &deadline
	r.Summary, r.Why, r.Remedy = "shop 1001 is not warm at its deadline", "the source is slow", "give it slots"
	m := alert.Links{Public: "https://p.example.com/", Runbooks: "https://r.example.com/books"}.MessageOf([]alert.Record{r})
	require.Equal(t, "prewarm [warning] shop 1001 is not warm at its deadline", m.Title())
	require.Equal(t, `[warning] shop 1001 is not warm at its deadline
Shop: 1001, broadcast b-1
Time: 4m12s late
Why: the source is slow
Do: give it slots
https://p.example.com/#run/r1
https://r.example.com/books/run_late.md
`, m.Text(10_000))

	r.State, r.ResolvedAt, r.ReadyAt, r.Ended = alert.Resolved, &now, deadline.Add(time.Minute), "the run is ready"
	m = alert.Links{}.MessageOf([]alert.Record{r})
	require.Contains(t, m.Text(10_000), "[resolved] shop 1001")
	require.Contains(t, m.Text(10_000), "Time: 1m0s late")
	require.Contains(t, m.Text(10_000), "Over: the run is ready")
}

func TestTextFitsWhateverThereIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(100, 5000).Draw(t, "most")
		var all []alert.Record
		for range rapid.IntRange(1, 30).Draw(t, "alerts") {
			r := record(alert.RunFailed, "failed", 0)
			r.Summary = strings.Repeat(rapid.SampledFrom([]string{"a", "直播", "\xff", "é "}).Draw(t, "text"), rapid.IntRange(0, 2000).Draw(t, "times"))
			all = append(all, r)
		}
		text := alert.Links{}.MessageOf(all).Text(most)
		require.LessOrEqual(t, len(text), most)
		require.NotEmpty(t, text)
		if !strings.Contains(text, "\xff") {
			require.True(t, utf8.ValidString(text))
		}
	})
}

func TestWhatAnAnswerRepeatsOfTheAddressIsNotShown(t *testing.T) {
	t.Parallel()
	p := alert.Post{URL: "https://u:passw0rd-1@h.example.com/hooks/T000SECRET?access_token=abcdef0123", Token: "bearer-token-1"}
	shown := p.Quote("no hook T000SECRET, token abcdef0123 (access_token=abcdef0123), passw0rd-1, bearer-token-1")
	for _, secret := range []string{"T000SECRET", "abcdef0123", "passw0rd-1", "bearer-token-1"} {
		require.NotContains(t, shown, secret)
	}
	_, err := alert.Post{URL: "http://127.0.0.1:1/hooks/T000SECRET"}.JSON(t.Context(), 1)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "T000SECRET")
}
