package config

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Size is an amount of memory in bytes, written as 8GiB, 512MiB or a number of bytes.
type Size int64

var sizeType = reflect.TypeFor[Size]()

// units are those of a Size, the greatest first.
var units = []struct {
	name  string
	bytes int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// ParseSize reads a Size; ok is false if it is none.
func ParseSize(text string) (size Size, ok bool) {
	factor := int64(1)
	for _, u := range units {
		if rest, found := strings.CutSuffix(text, u.name); found {
			text, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	if whole, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64); err == nil && whole >= 0 && whole <= math.MaxInt64/factor {
		return Size(whole * factor), true
	}
	part, err := strconv.ParseFloat(text, 64)
	if err != nil || factor == 1 || !(part >= 0 && part*float64(factor) < math.MaxInt64) {
		return 0, false
	}
	return Size(part * float64(factor)), true
}

// String is the size in the unit that people read it in.
func (s Size) String() string {
	for _, u := range units {
		if int64(s) >= u.bytes {
			return strconv.FormatFloat(float64(s)/float64(u.bytes), 'f', 1, 64) + " " + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + " bytes"
}

// maxRole bounds the words of a role.
const maxRole = 64

// described checks what is said of a cache for people and for the guard.
func (p *problems) described(field string, r Redis) {
	if utf8.RuneCountInString(r.Role) > maxRole || strings.ContainsFunc(r.Role, unicode.IsControl) {
		p.add(field+".role", "is no short text", fmt.Sprintf("write at most %d characters, such as live or archive", maxRole))
	}
	if r.Size < 0 || r.Size > 0 && r.Size < 1<<20 {
		p.add(field+".size", "is less than a mebibyte", "write 8GiB, say, or leave it out")
	}
}

// undescribed refuses what is for caches only.
func (p *problems) undescribed(field string, r Redis) {
	if r.Role != "" {
		p.add(field+".role", "is for caches only", "remove it")
	}
	if r.Size != 0 {
		p.add(field+".size", "is for caches only", "remove it; the queue is watched by its maxmemory")
	}
}
