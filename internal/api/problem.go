package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/prewarm-go/prewarm/internal/change"
	"github.com/prewarm-go/prewarm/internal/intake"
	"github.com/prewarm-go/prewarm/internal/ledger"
)

// problem writes a problem document for what huma does not see.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail})
}

// failure turns an error of the parts below into a problem document. What is left is a server that does not answer.
func failure(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, intake.ErrMalformed), errors.Is(err, change.ErrMalformed):
		return huma.Error400BadRequest(err.Error())
	case errors.Is(err, ErrInvalid):
		return huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, intake.ErrTooLarge):
		return huma.NewError(http.StatusRequestEntityTooLarge, err.Error())
	case errors.Is(err, ledger.ErrNotFound):
		return huma.Error404NotFound("no such run; GET /v1/runs lists them")
	case errors.Is(err, ledger.ErrState):
		return huma.Error409Conflict(err.Error())
	}
	return huma.ErrorWithHeaders(huma.Error503ServiceUnavailable(err.Error()), http.Header{"Retry-After": {"5"}})
}

// mapped answers what no route is for with a problem document instead of the mux's plain text.
func (a *API) mapped(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		said := &discarded{header: http.Header{}}
		h.ServeHTTP(said, r)
		if said.status != http.StatusMethodNotAllowed {
			problem(w, http.StatusNotFound, "nothing is at "+r.URL.Path+"; GET /openapi.json lists what there is")
			return
		}
		allow := said.header.Get("Allow")
		w.Header().Set("Allow", allow)
		problem(w, http.StatusMethodNotAllowed, r.URL.Path+" takes "+allow)
	})
}

// discarded is an answer of which only the status and the headers are wanted.
type discarded struct {
	header http.Header
	status int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) WriteHeader(status int)      { d.status = status }
func (d *discarded) Write(b []byte) (int, error) { return len(b), nil }
