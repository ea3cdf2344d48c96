package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prewarm-go/prewarm/tasks"
)

// MaxBroadcasts is how many broadcasts one request may carry; at about 250 bytes each they fit into the API's limit.
const MaxBroadcasts = 10000

// maxID bounds a broadcast's id, in characters; the ledger's column has this size. Shop ids have the same bound beside
// the one of the column they are compared with.
const maxID = 128

// envelope is a request whose broadcasts are looked at one by one, so that a bad one does not sink the others.
type envelope struct {
	RequestID  string            `json:"request_id"`
	Broadcasts []json.RawMessage `json:"broadcasts"`
}

// item is one broadcast of a request, or what is wrong with it.
type item struct {
	tasks.Broadcast
	err error
}

// parse reads a request document. The error, if any, is ErrMalformed or ErrTooLarge with the details.
func parse(body []byte) (requestID string, items []item, err error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return "", nil, fmt.Errorf(`%w: %s; send {"request_id": "…", "broadcasts": [{"broadcast_id": "…", "shop_id": "…", "starts_at": "…", "ends_at": "…"}]}`,
			ErrMalformed, jsonProblem(err))
	}
	if e.Broadcasts == nil {
		return "", nil, fmt.Errorf(`%w: "broadcasts" is missing`, ErrMalformed)
	}
	if len(e.Broadcasts) > MaxBroadcasts {
		return "", nil, fmt.Errorf("%w: %d broadcasts; send at most %d at once", ErrTooLarge, len(e.Broadcasts), MaxBroadcasts)
	}
	if err := plain("request_id", e.RequestID, 190, true); err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	items = make([]item, len(e.Broadcasts))
	for i, raw := range e.Broadcasts {
		items[i] = parseOne(raw)
	}
	return e.RequestID, items, nil
}

func parseOne(raw json.RawMessage) item {
	var it item
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&it.Broadcast); err != nil {
		// What could be read helps the sender find the broadcast.
		var id struct {
			BroadcastID any `json:"broadcast_id"`
			ShopID      any `json:"shop_id"`
		}
		again := json.NewDecoder(bytes.NewReader(raw))
		again.UseNumber() // an id that was sent as a number is shown as it was sent
		_ = again.Decode(&id)
		it = item{Broadcast: tasks.Broadcast{BroadcastID: short(id.BroadcastID), ShopID: short(id.ShopID)}}
		it.err = errors.New(jsonProblem(err))
	}
	return it
}

func short(v any) string {
	if v == nil {
		return ""
	}
	return first(strings.ToValidUTF8(fmt.Sprint(v), "?"), maxID)
}

// first is at most n characters of s, with an ellipsis if that is not all.
func first(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// jsonProblem says what is wrong in words that name the field.
func jsonProblem(err error) string {
	var typ *json.UnmarshalTypeError
	var when *time.ParseError
	switch {
	case errors.As(err, &typ) && typ.Field != "":
		return fmt.Sprintf("%s must be %s, not a JSON %s", typ.Field, jsonName(typ.Type.String()), typ.Value)
	case errors.As(err, &typ):
		return fmt.Sprintf("a JSON %s stands where an object should", typ.Value)
	case errors.As(err, &when):
		return fmt.Sprintf("%q is not a time of the form 2026-11-21T19:00:00+08:00", when.Value)
	case strings.HasPrefix(err.Error(), "Time.UnmarshalJSON"): // it names neither the field nor the form
		return "starts_at or ends_at is not a time of the form 2026-11-21T19:00:00+08:00"
	}
	return err.Error()
}

func jsonName(goType string) string {
	switch goType {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "time.Time":
		return "a time of the form 2026-11-21T19:00:00+08:00"
	}
	return "a list of broadcasts"
}

// plain checks an id or name: printable UTF-8 of bounded length without spaces around it.
func plain(field, v string, most int, emptyOK bool) error {
	switch {
	case v == "" && !emptyOK:
		return fmt.Errorf("%s is missing", field)
	case !utf8.ValidString(v):
		return fmt.Errorf("%s is not valid UTF-8", field)
	case utf8.RuneCountInString(v) > most:
		return fmt.Errorf("%s has %d characters; at most %d are allowed", field, utf8.RuneCountInString(v), most)
	case strings.TrimSpace(v) != v:
		return fmt.Errorf("%s begins or ends with a space", field)
	case strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%s holds a character that cannot be printed", field)
	}
	return nil
}
