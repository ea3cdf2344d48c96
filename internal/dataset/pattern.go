package dataset

import (
	"database/sql"
	"regexp"
	"strings"
)

// Pattern tells a shop's keys of a dataset from all others, and what row a key would be of.
type Pattern struct {
	enc    *Encoder
	slots  []slot // with the shop's id in the texts; texts and columns take turns
	behind string // the text behind the shop's id, which a column's text must not hold
}

// shape is what values of a kind look like in a key, as far as that keeps them from being taken for something else.
var shape = map[Kind]*regexp.Regexp{
	KindInt:     regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`),
	KindDecimal: regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`),
	KindBit:     regexp.MustCompile(`^[0-9]+$`),
	KindTime:    regexp.MustCompile(`^[-0-9][0-9:. -]*$`),
}

// hashShape is what a hashed column looks like.
var hashShape = regexp.MustCompile(`^[0-9a-f]{64}$`)

// shapeOf is the shape of a column's text in a key; nil: it may be anything.
func (e *Encoder) shapeOf(column int) *regexp.Regexp {
	if e.how(column) == hashed {
		return hashShape
	}
	return shape[e.cols[column].Kind]
}

// Pattern is that of a shop's keys; ok is false where keys cannot be told apart for sure: if the key does not hold the shop, or
// holds a text column of it, which may be written otherwise than the id that was announced; has no column of `by` or not all of them;
// or has text before its last column.
func (e *Encoder) Pattern(shop string) (p *Pattern, ok bool) {
	p = &Pattern{enc: e}
	hasShop, last := false, -1
	for i, s := range e.key {
		own := s.column == slotShop || s.column >= 0 && e.cols[s.column].Name == e.spec.Shop
		switch {
		case own && s.column >= 0 && e.shapeOf(s.column) == nil:
			return nil, false
		case own:
			hasShop = true
			s = slot{text: shop, column: slotText}
			if i+1 < len(e.key) {
				p.behind = e.key[i+1].text
			}
		case s.column >= 0:
			if last >= 0 && e.shapeOf(last) == nil {
				return nil, false
			}
			last = s.column
		}
		if n := len(p.slots); n > 0 && s.column == slotText && p.slots[n-1].column == slotText {
			p.slots[n-1].text += s.text
			continue
		}
		p.slots = append(p.slots, s)
	}
	if !hasShop || last < 0 || p.slots[0].column != slotText {
		return nil, false
	}
	for _, by := range e.spec.By {
		if !e.spec.KeyHas(by) {
			return nil, false
		}
	}
	return p, len(e.spec.By) > 0
}

// HidesShop says whether a shop's id holds the text that stands behind it in a key: then a key may be of another shop, whose id is
// the part before.
func (e *Encoder) HidesShop(shop string) bool {
	p, ok := e.Pattern(shop)
	return ok && p.behind != "" && strings.Contains(shop, p.behind)
}

// Prefix is what all keys of the shop begin with.
func (p *Pattern) Prefix() string { return p.slots[0].text }

// Dataset is whose keys these are.
func (p *Pattern) Dataset() string { return p.enc.spec.Name }

// Row is the row that a key would be of, with the columns that stand in the key; ok is false for a key of something else, and
// for one of which that is not sure.
func (p *Pattern) Row(key string) (row []sql.RawBytes, ok bool) {
	row, sure, ok := p.row(key)
	return row, ok && sure
}

// Unsure says whether a key looks like the shop's and may be another's too, whose id holds more of the key's text.
func (p *Pattern) Unsure(key string) bool {
	_, sure, ok := p.row(key)
	return ok && !sure
}

func (p *Pattern) row(key string) (row []sql.RawBytes, sure, ok bool) {
	sure = true
	row = make([]sql.RawBytes, len(p.enc.cols))
	for i, s := range p.slots {
		if s.column == slotText {
			if key, ok = strings.CutPrefix(key, s.text); !ok {
				return nil, false, false
			}
			continue
		}
		value := key
		if i+1 < len(p.slots) {
			end := strings.Index(key, p.slots[i+1].text)
			if end < 0 {
				return nil, false, false
			}
			value = key[:end]
		}
		switch re := p.enc.shapeOf(s.column); {
		case re != nil && !re.MatchString(value):
			return nil, false, false
		case re == nil && p.behind != "" && strings.Contains(value, p.behind):
			sure = false
		}
		row[s.column], key = sql.RawBytes(value), key[len(value):]
	}
	return row, sure, key == ""
}

// MayBe says whether a key could be one of the shop's, where Pattern cannot tell: it has the template's texts in their order.
func (e *Encoder) MayBe(shop, key string) bool {
	var b strings.Builder
	b.WriteString("(?s)^")
	for _, s := range e.key {
		switch s.column {
		case slotText:
			b.WriteString(regexp.QuoteMeta(s.text))
		case slotShop:
			b.WriteString(regexp.QuoteMeta(shop))
		default:
			b.WriteString(".*")
		}
	}
	return regexp.MustCompile(b.String() + "$").MatchString(key)
}
