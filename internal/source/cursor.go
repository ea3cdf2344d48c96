package source

import (
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// A cursor is a JSON array of strings, one per column of `by`, in the database's text form; bytes are written as 0x and
// hex digits. People read it in the ledger and in asynqmon, and may set it by hand.

func (b *Bound) cursor(values []sql.RawBytes) (string, error) {
	texts := make([]string, len(values))
	for i, v := range values {
		switch {
		case b.by[i].Kind == dataset.KindBinary:
			texts[i] = "0x" + hex.EncodeToString(v)
		case !utf8.Valid(v):
			return "", &CursorError{Dataset: b.spec.Name, Cursor: string(v), Reason: "holds text that is not valid UTF-8"}
		default:
			texts[i] = string(v)
		}
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(texts); err != nil {
		return "", fmt.Errorf("encode cursor: %w", err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// args are the arguments that a cursor is bound as; nil for "".
func (b *Bound) args(cursor string) ([]any, error) {
	if cursor == "" {
		return nil, nil
	}
	wrong := func(format string, args ...any) error {
		return &CursorError{Dataset: b.spec.Name, Cursor: cursor, Reason: fmt.Sprintf(format, args...)}
	}
	texts, err := cursorTexts(cursor)
	if err != nil {
		return nil, wrong("is not a JSON array of strings")
	}
	if len(texts) != len(b.by) {
		return nil, wrong("has %d values where `by` has %d columns", len(texts), len(b.by))
	}
	args := make([]any, len(texts))
	for i, text := range texts {
		arg, err := bind(b.by[i], text)
		if err != nil {
			return nil, wrong("does not fit column %s: %v", b.by[i].Name, err)
		}
		args[i] = arg
	}
	return args, nil
}

func cursorTexts(cursor string) (texts []string, err error) {
	err = json.Unmarshal([]byte(cursor), &texts)
	return texts, err
}

// bind makes an argument of a column's text form.
func bind(c Column, text string) (any, error) {
	switch c.Kind {
	case dataset.KindInt:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not an integer", text)
		}
		return n, nil
	case dataset.KindBinary:
		digits, ok := strings.CutPrefix(text, "0x")
		raw, err := hex.DecodeString(digits)
		if !ok || err != nil {
			return nil, fmt.Errorf("%q is not 0x and hex digits", text)
		}
		return raw, nil
	default:
		return text, nil
	}
}

// RowKey is the cursor of a row that a visit sees, to name it by; "" in the query form.
func (b *Bound) RowKey(row []sql.RawBytes) string {
	text, err := b.Cursor(row)
	if err != nil {
		return err.Error()
	}
	return text
}

// Cursor is the place behind a row that a visit sees; "" in the query form.
func (b *Bound) Cursor(row []sql.RawBytes) (string, error) {
	values := make([]sql.RawBytes, len(b.byAt))
	for i, at := range b.byAt {
		values[i] = row[at]
	}
	if len(values) == 0 {
		return "", nil
	}
	return b.cursor(values)
}
