package load

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/tracing"
)

// BenchmarkPageTrace is what a sampled page of 500 rows costs, and one that is not.
func BenchmarkPageTrace(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer collector.Close()
	for name, sample := range map[string]float64{"sampled": 1, "not": 0} {
		b.Run(name, func(b *testing.B) {
			tracer, err := tracing.New(b.Context(), config.Tracing{Endpoint: collector.URL, Sample: sample}, "pod", "v", slog.New(slog.DiscardHandler))
			require.NoError(b, err)
			ctx, span := tracing.Start(tracer.FromTask(b.Context(), nil), "unit")
			p := &page{}
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				p.trace = tracePage(ctx)
				for range 500 {
					p.trace.rowEnded(p.trace.rowBegan())
				}
				p.took = time.Since(began)
				p.trace.read(p)
				p.trace.leg(legWrite, began)
				p.trace.leg(legRecord, began)
				p.trace.end(nil)
			}
			span.End(nil)
			require.NoError(b, tracer.Close())
		})
	}
}

func TestAPageThatIsNotTracedMakesNothing(t *testing.T) {
	ctx, p := t.Context(), &page{}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		p.trace = tracePage(ctx)
		p.trace.rowEnded(p.trace.rowBegan())
		p.trace.read(p)
		p.trace.leg(legWrite, time.Time{})
		p.trace.end(nil)
	}))
	require.Nil(t, p.trace)
}
