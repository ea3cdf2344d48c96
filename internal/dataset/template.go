package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// shopName is the placeholder of the request's shop id. A column of that name cannot be part of a key.
const shopName = "shop"

// piece is a literal, or a placeholder if name is set.
type piece struct {
	text string
	name string
}

var errBrace = errors.New("a brace is left over; a literal brace is written {{ or }}")

// parseTemplate takes apart a key or a field such as `user:{shop}:{user_id}`.
func parseTemplate(s string) ([]piece, error) {
	var pieces []piece
	var text strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c != '{' && c != '}':
			text.WriteByte(c)
		case i+1 < len(s) && s[i+1] == c:
			text.WriteByte(c)
			i++
		case c == '}':
			return nil, errBrace
		default:
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, errBrace
			}
			name := s[i+1 : i+end]
			if !plainName.MatchString(name) {
				return nil, fmt.Errorf("{%s} is not the name of a column", name)
			}
			if text.Len() > 0 {
				pieces = append(pieces, piece{text: text.String()})
				text.Reset()
			}
			pieces = append(pieces, piece{name: name})
			i += end
		}
	}
	if text.Len() > 0 {
		pieces = append(pieces, piece{text: text.String()})
	}
	return pieces, nil
}

// KeyHas says whether the key contains the placeholder {name}.
func (s Spec) KeyHas(name string) bool {
	pieces, err := parseTemplate(s.Key)
	return err == nil && slices.Contains(pieces, piece{name: name})
}

// columnsOf lists the columns among the pieces.
func columnsOf(pieces []piece) []string {
	var names []string
	for _, p := range pieces {
		if p.name != "" && p.name != shopName {
			names = append(names, p.name)
		}
	}
	return names
}

// touching finds two placeholders with no text between them: 1 and 23 would make the same key as 12 and 3.
func touching(pieces []piece) (string, bool) {
	for i := 1; i < len(pieces); i++ {
		if pieces[i-1].name != "" && pieces[i].name != "" {
			return "{" + pieces[i-1].name + "}{" + pieces[i].name + "}", true
		}
	}
	return "", false
}
