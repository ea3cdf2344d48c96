package audit

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// newer says whether what stands under a key is a newer version of the row than the source's, by the rules of ENCODING.md.
func newer(v dataset.Version, h have, w want) bool {
	have := h.hash[v.Column]
	if w.hash == nil {
		have = member(h.text, v.Column)
	}
	return have != w.version && older(v.Order, w.version, have)
}

// member is a scalar member of a JSON object in its text form, or "".
func member(object, name string) string {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(object), &members) != nil {
		return ""
	}
	raw := bytes.TrimSpace(members[name])
	var text string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		return text
	}
	if len(raw) > 0 && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9') {
		return string(raw)
	}
	return ""
}

// older compares two versions. None is older than any, and so is what is no number or time.
func older(order, a, b string) bool {
	if order == dataset.OrderText {
		return a < b
	}
	sign, whole, fraction, ok := digits(order, a)
	sign2, whole2, fraction2, ok2 := digits(order, b)
	switch {
	case !ok || !ok2:
		return ok2 && !ok
	case sign != sign2:
		return sign == "-"
	case sign == "-":
		return older(order, b[1:], a[1:])
	case len(whole) != len(whole2):
		return len(whole) < len(whole2)
	case whole != whole2:
		return whole < whole2
	}
	width := max(len(fraction), len(fraction2))
	return pad(fraction, width) < pad(fraction2, width)
}

func pad(digits string, width int) string { return digits + strings.Repeat("0", width-len(digits)) }

var (
	number = regexp.MustCompile(`^(-?)0*(\d+)\.?(\d*)$`)
	moment = regexp.MustCompile(`^()(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.?(\d*)$`)
)

// digits are the sign, the digits before the point and those behind it.
func digits(order, v string) (sign, whole, fraction string, ok bool) {
	re := number
	if order == dataset.OrderTime {
		re = moment
		if len(v) == len("2006-01-02") {
			v += " 00:00:00"
		}
	}
	m := re.FindStringSubmatch(v)
	if m == nil {
		return "", "", "", false
	}
	return m[1], m[2], m[3], true
}
