package api

import (
	"context"
	"net/http"
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/prewarm-go/prewarm/tasks"
)

// out is an answer whose body is T.
type out[T any] struct{ Body T }

func answer[T any](body T, err error) (*out[T], error) {
	if err != nil {
		return nil, failure(err)
	}
	return &out[T]{body}, nil
}

// resources registers what is under /v1 and its description.
func (a *API) resources(mux *router) {
	h := humago.New(mux, describe(a.deps.Version))
	a.requests(h)
	a.runs(h)
	a.switches(h)
	a.batches(h)
	a.cluster(h)
	a.steering(h)
	a.plans(h)
	a.alerts(h)
	a.audits(h)
	a.actions(h)
	a.reports(h, mux)
	a.changes(h)
	a.shops(h)
	spec := sync.OnceValues(h.OpenAPI().MarshalJSON)
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		text, err := spec()
		if err != nil {
			problem(w, http.StatusInternalServerError, "the description cannot be written: "+err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(text)
	})
}

// describe is huma without its own pages: they load scripts from elsewhere, and the schema links it adds to every
// answer are no part of the contract.
func describe(version string) huma.Config {
	c := huma.DefaultConfig("prewarm", version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil
	c.Info.Description = "Announce broadcasts, see them being warmed, act on them. Errors are problem documents (RFC 9457)."
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer"}}
	c.Security = []map[string][]string{{"token": {}}}
	return c
}

// op describes an operation; errors are the statuses beside 401, 403 and 422, which any may answer.
func op(method, path, id, summary string, errors ...int) huma.Operation {
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary,
		Errors: append([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable}, errors...),
	}
}

// document registers an operation whose body is a request document, which is read by intake, one broadcast at a time,
// and not by huma.
func document[T any](h huma.API, o huma.Operation, do func(context.Context, *announcement) (*out[T], error)) {
	o.SkipValidateBody = true
	o.MaxBodyBytes = MaxBody + 1 // huma refuses a body of exactly this size
	o.BodyReadTimeout = readTime
	huma.Register(h, o, do)
	h.OpenAPI().Paths[o.Path].Post.RequestBody.Content = requestSchema(h)
}

// requestSchema describes a request document.
func requestSchema(h huma.API) map[string]*huma.MediaType {
	schema := h.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[tasks.Request](), true, "Request")
	return map[string]*huma.MediaType{"application/json": {Schema: schema}}
}

// PodList answers GET /v1/pods.
type PodList struct {
	Pods []Pod `json:"pods"`
}

// Me answers GET /v1/me.
type Me struct {
	Name    string `json:"name"`
	Role    string `json:"role" enum:"viewer,operator,changes"`
	Logins  bool   `json:"logins" doc:"false: no tokens are configured, and everybody is an operator"`
	Version string `json:"version"`
}

// cluster registers what is about the cluster as a whole.
func (a *API) cluster(h huma.API) {
	huma.Register(h, op(http.MethodGet, "/v1/pods", "list-pods", "The pods that are alive"),
		func(ctx context.Context, _ *struct{}) (*out[PodList], error) {
			pods, err := a.deps.Health.Pods(ctx)
			return answer(PodList{podsOf(pods)}, err)
		})

	huma.Register(h, op(http.MethodGet, "/v1/me", "get-me", "Who is asking, and what they may do"),
		func(ctx context.Context, _ *struct{}) (*out[Me], error) {
			who := whoIs(ctx)
			return answer(Me{who.name, who.role, !a.open(), a.deps.Version}, nil)
		})
}
