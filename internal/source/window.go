package source

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// checkWindow finds the column of `window`.
func (b *Bound) checkWindow() (err error) {
	if b.spec.Window == nil {
		return nil
	}
	if b.window, err = b.find("window.column", b.spec.Window.Column); err != nil {
		return err
	}
	if b.windowForm() == "" && b.window.Kind != dataset.KindInt || strings.HasPrefix(strings.ToLower(b.window.Type), "year") {
		return b.spec.Err("window.column", "use a DATETIME, TIMESTAMP, DATE or integer column", "column %s is %s", b.window.Name, b.window.Type)
	}
	return nil
}

// windowForm is the form of the column's values; "" if it holds no dates.
func (b *Bound) windowForm() string {
	word := strings.FieldsFunc(strings.ToLower(b.window.Type), func(r rune) bool { return r < 'a' || r > 'z' })
	switch {
	case b.window.Kind != dataset.KindTime:
	case slices.Contains(word, "date"):
		return time.DateOnly
	case slices.Contains(word, "datetime"), slices.Contains(word, "timestamp"):
		return time.DateTime
	}
	return ""
}

// Cutoff is since when rows are kept of which the last so long are: a column, and its least value. By the database's clock.
func (b *Bound) Cutoff(ctx context.Context, keep time.Duration) (column, since string, err error) {
	now, err := b.Now(ctx)
	if err != nil {
		return "", "", err
	}
	at := now.Add(-keep).UTC()
	if b.window.Kind == dataset.KindInt {
		return b.window.Name, strconv.FormatInt(at.Unix(), 10), nil
	}
	return b.window.Name, at.Format(b.windowForm()), nil
}
