package board_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/board"
)

func get(path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	board.Handler().ServeHTTP(w, r)
	return w
}

func TestThePageAndAllItsFilesAreServed(t *testing.T) {
	t.Parallel()
	w := get("/")
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Header().Get("Content-Type"), "text/html")
	for _, m := range regexp.MustCompile(`(?:src|href)="(/board/[^"]+)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		require.Equal(t, 200, get(m[1]).Code, m[1])
	}
	for _, path := range []string{"/board/", "/board/nothing.js", "/board/x/board.js", "/board/../board.go", "/board/page/board.js"} {
		require.Equal(t, 404, get(path).Code, path)
	}
}

func TestAnUnchangedFileIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := get("/board/board.js")
	require.Equal(t, 304, get("/board/board.js", "If-None-Match", w.Header().Get("ETag")).Code)
	require.Equal(t, 200, get("/board/board.js", "If-None-Match", `"older"`).Code)
}

func TestThePageRunsUnderItsPolicy(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/board/board.css", "/board/board.js"} {
		w := get(path)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
		text := w.Body.String()
		require.NotRegexp(t, `https?://`, text, "nothing comes from elsewhere")
		for _, forbidden := range []string{" style=", " onclick", " onsubmit", "<style", "innerHTML", "insertAdjacentHTML", "eval("} {
			require.NotContains(t, text, forbidden, path)
		}
	}
	require.NotRegexp(t, `<script(?:\s[^>]*)?>[^<]`, get("/").Body.String(), "no inline script")
}

func TestEveryElementThatTheScriptNeedsIsThere(t *testing.T) {
	t.Parallel()
	page, script := get("/").Body.String(), get("/board/board.js").Body.String()
	ids := regexp.MustCompile(`\$\('([a-z-]+)'\)`).FindAllStringSubmatch(script, -1)
	require.NotEmpty(t, ids)
	for _, id := range ids {
		require.Contains(t, page, `id="`+id[1]+`"`)
	}
}
