package tasks

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSeqOfReadsWhatLoadIDWrote(t *testing.T) {
	t.Parallel()
	alphabet := regexp.MustCompile(`^[A-Za-z0-9_.:]+$`)
	rapid.Check(t, func(t *rapid.T) {
		deadline := time.Unix(rapid.Int64Range(0, 9_999_999_999).Draw(t, "deadline"), 0)
		run := rapid.StringMatching(`[0-9a-f]{32}`).Draw(t, "run")
		epoch, unit := rapid.IntRange(1, 1000).Draw(t, "epoch"), rapid.IntRange(0, 99_999).Draw(t, "unit")
		seq := rapid.IntRange(0, 1<<31-1).Draw(t, "seq")
		id := LoadID(deadline, run, epoch, unit, seq)
		require.Regexp(t, alphabet, id, "asynqmon cuts ids at '-' and cannot act on ids with '/'")
		got, err := SeqOf(id)
		require.NoError(t, err)
		require.Equal(t, seq, got)
	})
}

func TestLoadIDsSortByDeadlineThenUnit(t *testing.T) {
	t.Parallel()
	early, late := time.Unix(999_999_999, 0), time.Unix(1_777_662_000, 0) // nine digits and ten
	want := []string{
		LoadID(early, "f", 1, 9, 12), LoadID(late, "a", 1, 9, 1), LoadID(late, "a", 1, 10, 1), LoadID(late, "b", 1, 0, 1),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.Sort(got)
	require.Equal(t, want, got)
}

func TestSeqOfRefusesForeignIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", ".", "7", "b8c1e6f0-0000-4000-8000-000000000000", "1777662000.run.1.00001.", "1777662000.run.1.00001.x"} {
		_, err := SeqOf(id)
		require.ErrorContains(t, err, "was not made by prewarm", "%q", id)
	}
}

func TestParseLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, payload, wrong string
		want                 Load
	}{
		{name: "all", payload: `{"run":"r","unit":7,"epoch":2,"shop":"1001","dataset":"users","from":"[1]","to":"[9]"}`,
			want: Load{Run: "r", Unit: 7, Epoch: 2, Shop: "1001", Dataset: "users", From: "[1]", To: "[9]"}},
		{name: "what handlers need", payload: `{"run":"r","unit":0,"epoch":1}`, want: Load{Run: "r", Epoch: 1}},
		{name: "a later version's field", payload: `{"run":"r","epoch":1,"new":true}`, want: Load{Run: "r", Epoch: 1}},
		{name: "no run", payload: `{"unit":1,"epoch":1}`, wrong: `"run" is missing`},
		{name: "no epoch", payload: `{"run":"r","unit":1}`, wrong: "unit 1 of epoch 0"},
		{name: "negative unit", payload: `{"run":"r","unit":-1,"epoch":1}`, wrong: "unit -1 of epoch 1"},
		{name: "not a number", payload: `{"run":"r","unit":"1","epoch":1}`, wrong: "load payload"},
		{name: "empty", payload: ``, wrong: "load payload"},
		{name: "not an object", payload: `[]`, wrong: "load payload"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseLoad([]byte(c.payload))
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestParsePlan(t *testing.T) {
	t.Parallel()
	got, err := ParsePlan([]byte(`{"run":"r","epoch":3}`))
	require.NoError(t, err)
	require.Equal(t, Plan{Run: "r", Epoch: 3}, got)
	for _, payload := range []string{``, `{}`, `{"epoch":1}`, `{"run":1}`, `"r"`} {
		_, err := ParsePlan([]byte(payload))
		require.ErrorContains(t, err, "plan payload", "%q", payload)
	}
}

func TestConstructorsMakeWhatParsersRead(t *testing.T) {
	t.Parallel()
	load := Load{Run: "r", Unit: 3, Epoch: 1, Shop: "1001", Dataset: "users", From: "[1]"}
	task, err := NewLoad(load)
	require.NoError(t, err)
	require.Equal(t, "load:users", task.Type())
	gotLoad, err := ParseLoad(task.Payload())
	require.NoError(t, err)
	require.Equal(t, load, gotLoad)

	plan := Plan{Run: "r", Epoch: 2}
	task, err = NewPlan(plan)
	require.NoError(t, err)
	require.Equal(t, "warm:plan", task.Type())
	gotPlan, err := ParsePlan(task.Payload())
	require.NoError(t, err)
	require.Equal(t, plan, gotPlan)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{"run":"r","unit":7,"epoch":2}`, `{"run":"r","epoch":1}`, `{`, `null`, `{"run":"r","unit":-1,"epoch":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if l, err := ParseLoad(payload); err == nil {
			require.True(t, l.Run != "" && l.Unit >= 0 && l.Epoch >= 1)
			text, err := json.Marshal(l)
			require.NoError(t, err)
			again, err := ParseLoad(text)
			require.NoError(t, err)
			require.Equal(t, l, again)
		}
		if p, err := ParsePlan(payload); err == nil {
			require.NotEmpty(t, p.Run)
		}
	})
}

func FuzzSeqOf(f *testing.F) {
	f.Add("1777662000.0199.1.00001.4")
	f.Add("no dots")
	f.Fuzz(func(t *testing.T, id string) {
		if _, err := SeqOf(id); err == nil {
			require.Contains(t, id, ".")
		}
	})
}
