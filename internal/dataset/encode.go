package dataset

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// What is wrong with a value. The value itself is not repeated: it may be long, and it is somebody's data.
const (
	notInteger = "is not an integer"
	notNumber  = "is not a number"
	notJSON    = "is not a valid JSON document"
	notUTF8    = "is not valid UTF-8"
	notBit     = "is longer than 64 bits"
)

// appendJSON appends a value that is not NULL as JSON. A reason that is not empty says why it cannot; what was appended
// is then worthless.
func appendJSON(dst []byte, k Kind, raw []byte) (_ []byte, reason string) {
	switch k {
	case KindInt:
		return appendInt(dst, raw)
	case KindFloat:
		return appendFloat(dst, raw)
	case KindBit:
		return appendBit(dst, raw)
	case KindJSON:
		return appendDocument(dst, raw)
	case KindBinary:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, raw)
		return append(dst, '"'), ""
	default:
		return appendString(dst, raw)
	}
}

// appendText appends a value that is not NULL in its text form: as JSON has it but without quotes, escapes and base64.
func appendText(dst []byte, k Kind, raw []byte) (_ []byte, reason string) {
	switch k {
	case KindInt:
		return appendInt(dst, raw)
	case KindFloat:
		return appendFloat(dst, raw)
	case KindBit:
		return appendBit(dst, raw)
	case KindJSON:
		return appendDocument(dst, raw)
	case KindBinary:
		return append(dst, raw...), ""
	default:
		if !utf8.Valid(raw) {
			return dst, notUTF8
		}
		return append(dst, raw...), ""
	}
}

// appendInt checks the digits although MySQL sends nothing else, because SQLite puts any text into any column. Zeros in
// front (ZEROFILL) are display only, and no JSON.
func appendInt(dst, raw []byte) ([]byte, string) {
	digits := raw
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
		dst = append(dst, '-')
	}
	for len(digits) > 1 && digits[0] == '0' {
		digits = digits[1:]
	}
	if len(digits) == 0 {
		return dst, notInteger
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return dst, notInteger
		}
	}
	return append(dst, digits...), ""
}

// appendFloat writes what MySQL writes. The driver has parsed some floats and database/sql has printed them again in
// Go's form, whose exponents differ: 1e+06 for 1000000.
func appendFloat(dst, raw []byte) ([]byte, string) {
	if plainFloat(raw) {
		return append(dst, raw...), ""
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return dst, notNumber
	}
	// MySQL writes an exponent below 1e-15 and from 1e15 on, without a plus sign and zeros in front.
	if a := math.Abs(f); a == 0 || a >= 1e-15 && a < 1e15 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64), ""
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	for i := start; i < len(dst); i++ {
		if dst[i] == '+' {
			return append(dst[:i], dst[i+1:]...), ""
		}
	}
	return dst, ""
}

// plainFloat: -?(0|[1-9][0-9]*)(\.[0-9]+)?
func plainFloat(raw []byte) bool {
	if len(raw) > 0 && raw[0] == '-' {
		raw = raw[1:]
	}
	if len(raw) == 0 || raw[0] == '0' && len(raw) > 1 && raw[1] != '.' {
		return false
	}
	point := -1
	for i, c := range raw {
		if c == '.' && point < 0 && i > 0 {
			point = i
		} else if c < '0' || c > '9' {
			return false
		}
	}
	return point != len(raw)-1
}

func appendBit(dst, raw []byte) ([]byte, string) {
	if len(raw) > 8 {
		return dst, notBit
	}
	var n uint64
	for _, b := range raw {
		n = n<<8 | uint64(b)
	}
	return strconv.AppendUint(dst, n, 10), ""
}

func appendDocument(dst, raw []byte) ([]byte, string) {
	if !json.Valid(raw) || !utf8.Valid(raw) {
		return dst, notJSON
	}
	return append(dst, raw...), ""
}

// appendString quotes and escapes what JSON demands, and nothing else: <, >, & and U+2028 stay as they are.
func appendString(dst, raw []byte) ([]byte, string) {
	start := plainLen(raw)
	if start < len(raw) {
		return appendEscaped(dst, raw, start)
	}
	dst = append(dst, '"')
	dst = append(dst, raw...)
	return append(dst, '"'), ""
}

// plainLen is the length of a beginning of raw that is ASCII and needs no escape, looked at in eights: most values are
// plain to their end, and a row of twelve columns then takes 270 ns instead of 450.
func plainLen(raw []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(raw); i += 8 {
		w := binary.LittleEndian.Uint64(raw[i:])
		if (w|(w-ones*' ')|((w^ones*'"')-ones)|((w^ones*'\\')-ones))&tops != 0 {
			return i
		}
	}
	for ; i < len(raw); i++ {
		if c := raw[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return i
		}
	}
	return i
}

const hexDigits = "0123456789abcdef"

// appendEscaped is appendString for raw whose first plain bytes need no look.
func appendEscaped(dst, raw []byte, plain int) ([]byte, string) {
	if !utf8.Valid(raw[plain:]) {
		return dst, notUTF8
	}
	dst = append(dst, '"')
	start := 0
	for i := plain; i < len(raw); i++ {
		c := raw[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, raw[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, raw[start:]...)
	return append(dst, '"'), ""
}
