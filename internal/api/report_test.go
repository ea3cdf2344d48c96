package api

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/report"
)

type fakeReports struct{}

func (fakeReports) Report(_ context.Context, day string) (report.Report, error) {
	if day == "yesterday" {
		return report.Report{}, fmt.Errorf("%w: a day is written 2006-01-02", ErrInvalid)
	}
	return report.Report{Day: "2026-05-01", Runs: 3, Outcomes: map[string]int{report.TooLate: 1, report.InTime: 2},
		Late: []report.Late{{Line: report.Line{ShopID: "<1001>"}, LateSeconds: 61, Parts: report.Parts{Reading: 4}}}}, nil
}

func TestADayIsSummedUpAsDocumentAndAsPage(t *testing.T) {
	t.Parallel()
	a := newAPI(t, &fake{}, tokens)
	w := ask(a, "GET", "/v1/report?day=2026-05-01", "", bearer(viewerToken))
	require.Contains(t, w.Body.String(), `"outcomes":{"in_time":2,"late":1}`)
	w = ask(a, "GET", "/report", "", bearer(viewerToken))
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))
	require.Contains(t, w.Body.String(), "&lt;1001&gt;")
	require.Contains(t, w.Body.String(), "<td>1m1s")
	require.Equal(t, 422, ask(a, "GET", "/report?day=yesterday", "", bearer(viewerToken)).Code)
	require.Equal(t, 422, ask(a, "GET", "/v1/report?day=yesterday", "", bearer(viewerToken)).Code)
}
