package board_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
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
	for _, path := range []string{"/board/", "/board/nothing.js", "/board/login.html", "/board/x/board.js", "/board/../board.go", "/board/page/board.js"} {
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
	for _, path := range append([]string{"/", "/board/board.css"}, scripts(t)...) {
		w := get(path)
		require.Equal(t, 200, w.Code, path)
		require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
		text := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "")
		require.NotRegexp(t, `https?://`, text, "nothing comes from elsewhere")
		for _, forbidden := range []string{" style=", " onclick", " onsubmit", "<style", "innerHTML", "insertAdjacentHTML", "eval("} {
			require.NotContains(t, text, forbidden, path)
		}
	}
	require.NotRegexp(t, `<script(?:\s[^>]*)?>[^<]`, get("/").Body.String(), "no inline script")
}

// scripts are the page's modules: the first, and what each imports.
func scripts(t *testing.T) (all []string) {
	t.Helper()
	imports := regexp.MustCompile(`from '\./([a-z]+\.js)'`)
	for left := []string{"/board/board.js"}; len(left) > 0; left = left[1:] {
		if slices.Contains(all, left[0]) {
			continue
		}
		all = append(all, left[0])
		for _, m := range imports.FindAllStringSubmatch(get(left[0]).Body.String(), -1) {
			left = append(left, "/board/"+m[1])
		}
	}
	require.Greater(t, len(all), 5)
	return all
}

func TestEveryElementThatTheScriptsNeedIsThere(t *testing.T) {
	t.Parallel()
	page := get("/").Body.String()
	for _, path := range scripts(t) {
		for _, id := range regexp.MustCompile(`\$\('([a-z-]+)'\)`).FindAllStringSubmatch(get(path).Body.String(), -1) {
			if !strings.HasPrefix(id[1], "warm-") && !strings.HasPrefix(id[1], "pin-") { // made by the script itself
				require.Contains(t, page, `id="`+id[1]+`"`, path)
			}
		}
	}
}

func TestTheLoginAsksForATokenAndNothingElse(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	board.Login()(w, http.StatusUnauthorized, `/asynqmon/"><script>`, "wrong")
	require.Equal(t, 401, w.Code)
	text := w.Body.String()
	require.Contains(t, text, "wrong")
	require.NotContains(t, text, "<script")
	require.NotRegexp(t, `(src|href)=`, text)
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "style-src 'sha256-")
	require.NotContains(t, w.Header().Get("Content-Security-Policy"), "unsafe")
}
