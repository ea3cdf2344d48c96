package intake

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/tasks"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func policy() config.Policy { return config.Defaults().Policy }

func tonight() tasks.Broadcast {
	return tasks.Broadcast{BroadcastID: "b-1", ShopID: "1001", StartsAt: noon.Add(7 * time.Hour), EndsAt: noon.Add(11 * time.Hour)}
}

func TestCheckNamesWhatIsWrongWithABroadcast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*tasks.Broadcast)
		want   string // "" is right
	}{
		"nothing":                  {func(*tasks.Broadcast) {}, ""},
		"tier":                     {func(b *tasks.Broadcast) { b.Tier = "ka" }, ""},
		"text of any script":       {func(b *tasks.Broadcast) { b.BroadcastID = "播放 🎬" }, ""},
		"longest id":               {func(b *tasks.Broadcast) { b.BroadcastID = strings.Repeat("é", maxID) }, ""},
		"on already":               {func(b *tasks.Broadcast) { b.StartsAt = noon.Add(-time.Hour) }, ""},
		"as long as is believed":   {func(b *tasks.Broadcast) { b.EndsAt = b.StartsAt.Add(48 * time.Hour) }, ""},
		"no broadcast":             {func(b *tasks.Broadcast) { b.BroadcastID = "" }, "broadcast_id is missing"},
		"no shop":                  {func(b *tasks.Broadcast) { b.ShopID = "" }, "shop_id is missing"},
		"id too long":              {func(b *tasks.Broadcast) { b.ShopID = strings.Repeat("x", maxID+1) }, "shop_id has 129 characters"},
		"space before the id":      {func(b *tasks.Broadcast) { b.ShopID = " 1001" }, "begins or ends with a space"},
		"line break in the id":     {func(b *tasks.Broadcast) { b.BroadcastID = "a\nb" }, "cannot be printed"},
		"bytes that are no text":   {func(b *tasks.Broadcast) { b.BroadcastID = "a\xff" }, "not valid UTF-8"},
		"tier too long":            {func(b *tasks.Broadcast) { b.Tier = strings.Repeat("k", 33) }, "tier has 33"},
		"no start":                 {func(b *tasks.Broadcast) { b.StartsAt = time.Time{} }, "starts_at is missing"},
		"no end":                   {func(b *tasks.Broadcast) { b.EndsAt = time.Time{} }, "ends_at is missing"},
		"end at the start":         {func(b *tasks.Broadcast) { b.EndsAt = b.StartsAt }, "is not after starts_at"},
		"over":                     {func(b *tasks.Broadcast) { b.StartsAt, b.EndsAt = noon.Add(-2*time.Hour), noon }, "has passed"},
		"longer than is believed":  {func(b *tasks.Broadcast) { b.EndsAt = b.StartsAt.Add(48*time.Hour + 1) }, "policy.max_broadcast"},
		"further than is believed": {func(b *tasks.Broadcast) { *b = moved(*b, 721*time.Hour) }, "policy.max_ahead"},
		"cancelled needs no times": {func(b *tasks.Broadcast) { b.Cancelled, b.StartsAt, b.EndsAt = true, time.Time{}, time.Time{} }, ""},
		"cancelled needs a shop":   {func(b *tasks.Broadcast) { b.Cancelled, b.ShopID = true, "" }, "shop_id is missing"},
	} {
		b := tonight()
		c.change(&b)
		err := check(b, policy(), noon)
		if c.want == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, c.want, name)
		}
	}
}

func moved(b tasks.Broadcast, by time.Duration) tasks.Broadcast {
	b.StartsAt, b.EndsAt = b.StartsAt.Add(by), b.EndsAt.Add(by)
	return b
}

func TestTimesLeaveTheLeadOrStartAtOnce(t *testing.T) {
	t.Parallel()
	p := policy() // ready 10 minutes before, 3 hours of lead
	for _, c := range []struct {
		startsIn, plannedIn time.Duration
		urgent              bool
	}{
		{7 * time.Hour, 4 * time.Hour, false},
		{3*time.Hour + 10*time.Minute, 10 * time.Minute, false},
		{3 * time.Hour, 0, false},
		{3*time.Hour - 1, 0, true},
		{-time.Hour, 0, true},
	} {
		b := tonight()
		b.StartsAt = noon.Add(c.startsIn)
		got := timesOf(b, p, noon)
		require.Equal(t, noon.Add(c.plannedIn), got.PlannedStart, c.startsIn)
		require.Equal(t, c.urgent, got.Urgent, c.startsIn)
		require.Equal(t, got.StartsAt.Add(-p.ReadyBefore), got.Deadline)
	}
}

func TestTimesAreAsCoarseAsTheLedgers(t *testing.T) {
	t.Parallel()
	b := tonight()
	b.StartsAt = b.StartsAt.Add(1999 * time.Nanosecond).In(time.FixedZone("+08", 8*3600))
	got := timesOf(b, policy(), noon)
	require.Equal(t, noon.Add(7*time.Hour+time.Microsecond), got.StartsAt)
	require.True(t, sameTimes(b, got.StartsAt, got.EndsAt))
	require.False(t, sameTimes(b, got.StartsAt, got.EndsAt.Add(time.Microsecond)))
}

func TestDecide(t *testing.T) {
	t.Parallel()
	same, later := tonight(), moved(tonight(), time.Hour)
	off := tasks.Broadcast{BroadcastID: "b-1", ShopID: "1001", Cancelled: true}
	for state, want := range map[ledger.RunState]struct{ same, later, off action }{
		"":                  {actCreate, actCreate, actNothing},
		ledger.RunPlanned:   {actDuplicate, actReschedule, actCancel},
		ledger.RunWarming:   {actDuplicate, actReschedule, actCancel},
		ledger.RunReady:     {actDuplicate, actReschedule, actCancel},
		ledger.RunFailed:    {actResume, actResume, actCancel},
		ledger.RunCancelled: {actRevive, actRevive, actDuplicate},
		ledger.RunSkipped:   {actRevive, actRevive, actNothing},
	} {
		var run *ledger.Run
		if state != "" {
			run = &ledger.Run{State: state, StartsAt: same.StartsAt, EndsAt: same.EndsAt}
		}
		for _, c := range []struct {
			b    tasks.Broadcast
			want action
		}{{same, want.same}, {later, want.later}, {off, want.off}} {
			got, _ := decide(c.b, run)
			require.Equal(t, c.want, got, "%s: %+v", state, c.b)
		}
	}
}

func TestEligible(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		b         tasks.Broadcast
		rows, min int64
		want      bool
	}{
		{tasks.Broadcast{}, 4999, 5000, false},
		{tasks.Broadcast{}, 5000, 5000, true},
		{tasks.Broadcast{}, 0, 0, true},
		{tasks.Broadcast{Tier: "gold"}, 0, 5000, false},
		{tasks.Broadcast{Tier: tasks.TierKA}, 0, 5000, true},
		{tasks.Broadcast{Force: true}, 0, 5000, true},
	} {
		got, reason := eligible(c.b, c.rows, c.min)
		require.Equal(t, c.want, got, "%+v of %d rows", c.b, c.rows)
		require.NotEmpty(t, reason)
	}
}
