package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func started(t *testing.T) *API {
	t.Helper()
	a := newAPI(t, &fake{}, nil)
	require.Empty(t, a.Addr())
	require.NoError(t, a.Stop(t.Context()), "stopping what never started does nothing")
	require.NoError(t, a.Start(t.Context()))
	require.NoError(t, a.Start(t.Context()), "starting twice does nothing")
	t.Cleanup(func() { require.NoError(t, a.Stop(context.Background())) })
	return a
}

func TestStartServesUntilStop(t *testing.T) {
	t.Parallel()
	a := started(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr()+"/healthz", nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 200, resp.StatusCode)

	other := newAPI(t, &fake{}, nil)
	other.deps.Listen = a.Addr()
	require.ErrorContains(t, other.Start(t.Context()), "--listen")

	require.NoError(t, a.Stop(t.Context()))
	require.NoError(t, a.Stop(t.Context()))
	_, err = client.Do(req) //nolint:bodyclose // there is none
	require.Error(t, err)
}

func TestABodyOf10MBGetsAnAnswer(t *testing.T) {
	t.Parallel()
	a := started(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	body := io.MultiReader(bytes.NewReader(make([]byte, 10<<20))) // of unknown length
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+a.Addr()+"/v1/requests", body)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 413, resp.StatusCode)
	requireProblem(t, 413, resp.Header, text)
}
