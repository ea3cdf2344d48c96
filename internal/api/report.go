package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/report"
)

// Reports sum up days. Errors are ErrInvalid, or of a server that does not answer.
type Reports interface {
	// Report is that of a day, 2006-01-02; "" is today.
	Report(ctx context.Context, day string) (report.Report, error)
}

type reportDay struct {
	Day string `query:"day" doc:"2006-01-02, in the server's zone; default: today"`
}

// reports registers the summary of a day, as a document and as a page.
func (a *API) reports(h huma.API, mux *router) {
	huma.Register(h, op(http.MethodGet, "/v1/report", "get-report", "The summary of a day"),
		func(ctx context.Context, in *reportDay) (*out[report.Report], error) {
			r, err := a.deps.Reports.Report(ctx, in.Day)
			return answer(r, err)
		})
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, r *http.Request) {
		sum, err := a.deps.Reports.Report(r.Context(), r.URL.Query().Get("day"))
		var text bytes.Buffer
		if err == nil {
			err = sum.Page(&text)
		}
		switch {
		case errors.Is(err, ErrInvalid):
			problem(w, http.StatusUnprocessableEntity, err.Error())
		case err != nil:
			problem(w, http.StatusServiceUnavailable, err.Error())
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(text.Bytes())
		}
	})
}
