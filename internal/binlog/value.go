package binlog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Column is what has to be known of a column that the log does not say.
type Column struct {
	Name     string
	Type     string // as information_schema calls it: int, varchar, …
	Wanted   bool   // its values are read
	Unsigned bool
	Charset  string   // empty: bytes
	Length   int      // BINARY: of its values
	Members  []string // of ENUM and SET
}

// The types of columns.
const (
	tTiny, tShort, tLong, tFloat, tDouble, tNull          = 1, 2, 3, 4, 5, 6
	tStamp, tLongLong, tInt24, tDate, tTime, tDateTime    = 7, 8, 9, 10, 11, 12
	tYear, tVarchar, tBit                                 = 13, 15, 16
	tStamp2, tDateTime2, tTime2                           = 17, 18, 19
	tVarcharZ, tBlobZ                                     = 140, 141 // MariaDB, compressed
	tVector, tJSON, tDecimal, tEnum, tSet                 = 242, 245, 246, 247, 248
	tTinyBlob, tMediumBlob, tLongBlob, tBlob, tVar, tText = 249, 250, 251, 252, 253, 254
	tGeometry                                             = 255
)

// metaBytes is how much a table map says of a type.
func metaBytes(kind byte) int {
	switch kind {
	case tFloat, tDouble, tTinyBlob, tMediumBlob, tLongBlob, tBlob, tBlobZ, tJSON, tGeometry, tVector, tStamp2, tDateTime2, tTime2:
		return 1
	case tVarchar, tVarcharZ, tBit, tDecimal, tEnum, tSet, tVar, tText:
		return 2
	}
	return 0
}

var fixed = map[byte]int{tTiny: 1, tShort: 2, tInt24: 3, tLong: 4, tLongLong: 8, tFloat: 4, tDouble: 8, tNull: 0, tYear: 1, tDate: 3, tTime: 3, tStamp: 4, tDateTime: 8}

// size is how many bytes a value takes that data begins with; -1: it is not known.
func size(kind byte, meta uint16, data []byte) int {
	if n, ok := fixed[kind]; ok {
		return n
	}
	fraction := (int(meta) + 1) / 2
	switch kind {
	case tStamp2:
		return 4 + fraction
	case tDateTime2:
		return 5 + fraction
	case tTime2:
		return 3 + fraction
	case tBit:
		return (int(meta>>8)*8 + int(meta&0xff) + 7) / 8
	case tDecimal:
		return decimalSize(int(meta&0xff), int(meta>>8))
	case tEnum, tSet:
		return int(meta >> 8)
	case tVarchar, tVarcharZ:
		return prefixed(1+b2i(meta > 255), data)
	case tTinyBlob, tMediumBlob, tLongBlob, tBlob, tBlobZ, tJSON, tGeometry, tVector:
		return prefixed(int(meta), data)
	case tVar, tText:
		real, length := stringMeta(meta)
		if real == tEnum || real == tSet {
			return length
		}
		return prefixed(1+b2i(length > 255), data)
	}
	return -1
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// prefixed is the size of a value behind its length, which takes n bytes.
func prefixed(n int, data []byte) int {
	if n < 1 || n > 4 || len(data) < n {
		return -1
	}
	r := reader{data}
	return n + int(r.uint(n))
}

// stringMeta is the type and the length of what is written as a string; two bits of a length above 255 are in the type.
func stringMeta(meta uint16) (kind byte, length int) {
	kind, length = byte(meta), int(meta>>8)
	if kind&0x30 != 0x30 {
		length |= int(kind&0x30^0x30) << 4
		kind |= 0x30
	}
	return kind, length
}

// text is a value as the server writes it in an answer, bytes as 0x and hex digits; ok is false if it cannot be told.
func text(kind byte, meta uint16, raw []byte, c Column) (_ string, ok bool) {
	switch kind {
	case tTiny, tShort, tInt24, tLong, tLongLong:
		return integer(raw, c.Unsigned), true
	case tYear:
		if raw[0] == 0 {
			return "0", true
		}
		return strconv.Itoa(1900 + int(raw[0])), true
	case tDecimal:
		return decimal(raw, int(meta&0xff), int(meta>>8))
	case tDate:
		v := int(raw[0]) | int(raw[1])<<8 | int(raw[2])<<16
		return fmt.Sprintf("%04d-%02d-%02d", v>>9, v>>5&15, v&31), true
	case tDateTime2:
		return dateTime(raw, int(meta)), true
	case tStamp2:
		return stamp(raw, int(meta)), true
	case tTime2:
		return clock(raw, int(meta)), true
	case tBit:
		return string(raw), true
	case tVarchar:
		return characters(raw[1+b2i(meta > 255):], c)
	case tTinyBlob, tMediumBlob, tLongBlob, tBlob:
		return characters(raw[meta:], c)
	case tVar, tText:
		real, length := stringMeta(meta)
		if real == tEnum || real == tSet {
			return member(real, raw, c.Members)
		}
		return characters(raw[1+b2i(length > 255):], c)
	}
	return "", false
}

func integer(raw []byte, unsigned bool) string {
	r := reader{raw}
	v := r.uint(len(raw))
	if unsigned {
		return strconv.FormatUint(v, 10)
	}
	shift := 64 - 8*len(raw)
	return strconv.FormatInt(int64(v<<shift)>>shift, 10)
}

// wide are character sets in which a character below 128 is not one byte.
var wide = map[string]bool{"ucs2": true, "utf16": true, "utf16le": true, "utf32": true}

func characters(raw []byte, c Column) (string, bool) {
	switch {
	case c.Charset == "" && (c.Type == "inet6" || c.Type == "inet4" || c.Type == "uuid"):
		return "", false
	case c.Charset == "":
		if pad := c.Length - len(raw); c.Type == "binary" && pad > 0 { // trailing zeros are not written
			raw = append(bytes.Clone(raw), make([]byte, pad)...)
		}
		return "0x" + hex.EncodeToString(raw), true
	case strings.HasPrefix(c.Charset, "utf8"):
		return string(raw), utf8.Valid(raw)
	}
	plain := !bytes.ContainsFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf })
	return string(raw), plain && !wide[c.Charset]
}

// member is the name of an ENUM's value, or the names of a SET's.
func member(kind byte, raw []byte, members []string) (string, bool) {
	r := reader{raw}
	v := r.uint(len(raw))
	if kind == tEnum {
		if v == 0 {
			return "", true
		}
		if v > uint64(len(members)) {
			return "", false
		}
		return members[v-1], true
	}
	if bits.Len64(v) > len(members) {
		return "", false
	}
	var names []string
	for i, name := range members {
		if v>>i&1 == 1 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ","), true
}

// bigEndian is how times are written, so that they compare as bytes.
func bigEndian(raw []byte) (v uint64) {
	for _, b := range raw {
		v = v<<8 | uint64(b)
	}
	return v
}

// fraction is a point and so many digits, of a number with two for each byte.
func fraction(v uint64, digits int) string {
	if digits == 0 {
		return ""
	}
	return "." + fmt.Sprintf("%0*d", (digits+1)/2*2, v)[:digits]
}

func dateTime(raw []byte, digits int) string {
	v := bigEndian(raw[:5]) - 0x8000000000
	month := v >> 22 & 0x1ffff
	return fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d", month/13, month%13, v>>17&31, v>>12&31, v>>6&63, v&63) + fraction(bigEndian(raw[5:]), digits)
}

func stamp(raw []byte, digits int) string {
	at := binary.BigEndian.Uint32(raw)
	text := "0000-00-00 00:00:00"
	if at > 0 {
		text = time.Unix(int64(at), 0).UTC().Format(time.DateTime)
	}
	return text + fraction(bigEndian(raw[4:]), digits)
}

func clock(raw []byte, digits int) string {
	part := 8 * (len(raw) - 3)
	v := int64(bigEndian(raw)) - 0x800000<<part
	sign := ""
	if v < 0 {
		v, sign = -v, "-"
	}
	whole := v >> part
	return sign + fmt.Sprintf("%02d:%02d:%02d", whole>>12&0x3ff, whole>>6&63, whole&63) + fraction(uint64(v)&(1<<part-1), digits)
}

// groupBytes is how many bytes so many digits take: nine take four.
var groupBytes = [10]int{0, 1, 1, 2, 2, 3, 3, 4, 4, 4}

func decimalSize(precision, scale int) int {
	whole := precision - scale
	if whole < 0 {
		return -1
	}
	return whole/9*4 + groupBytes[whole%9] + scale/9*4 + groupBytes[scale%9]
}

// decimal reads groups of nine digits, of which the first and the last may be shorter. The first bit is set unless it is
// negative; then all bits are the other way round.
func decimal(raw []byte, precision, scale int) (string, bool) {
	if len(raw) == 0 {
		return "", false
	}
	raw = bytes.Clone(raw)
	negative := raw[0]&0x80 == 0
	raw[0] ^= 0x80
	if negative {
		for i := range raw {
			raw[i] ^= 0xff
		}
	}
	r := reader{raw}
	group := func(b *strings.Builder, digits int) {
		fmt.Fprintf(b, "%0*d", digits, bigEndian(r.take(groupBytes[digits])))
	}
	var whole, part strings.Builder
	if n := (precision - scale) % 9; n > 0 {
		group(&whole, n)
	}
	for range (precision - scale) / 9 {
		group(&whole, 9)
	}
	for range scale / 9 {
		group(&part, 9)
	}
	if n := scale % 9; n > 0 {
		group(&part, n)
	}
	out := strings.TrimLeft(whole.String(), "0")
	if out == "" {
		out = "0"
	}
	if scale > 0 {
		out += "." + part.String()
	}
	if negative {
		out = "-" + out
	}
	return out, true
}

// codes are the types that a column of an information_schema type is written as.
var codes = map[string][]byte{
	"tinyint": {tTiny}, "smallint": {tShort}, "mediumint": {tInt24}, "int": {tLong}, "bigint": {tLongLong}, "float": {tFloat}, "double": {tDouble},
	"decimal": {tDecimal}, "date": {tDate}, "time": {tTime2, tTime}, "datetime": {tDateTime2, tDateTime}, "timestamp": {tStamp2, tStamp}, "year": {tYear},
	"char": {tText}, "binary": {tText}, "enum": {tText}, "set": {tText}, "varchar": {tVarchar, tVarcharZ}, "varbinary": {tVarchar, tVarcharZ}, "bit": {tBit},
}

// Fits says whether the table had these columns when its rows were written, as far as that can be seen.
func (t *Table) Fits(columns []Column) bool {
	if len(columns) != len(t.types) {
		return false
	}
	for i, c := range columns {
		if t.Names != nil && t.Names[i] != c.Name {
			return false
		}
		if want, ok := codes[c.Type]; ok && bytes.IndexByte(want, t.types[i]) < 0 {
			return false
		}
		if real, _ := stringMeta(t.meta[i]); t.types[i] == tText && (real == tEnum) != (c.Type == "enum") {
			return false
		}
	}
	return true
}
