package dataset

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The lexer knows of SQL just what is needed to find `:shop`, tables and statement ends outside of strings and comments.
type tokenKind int

const (
	tokenWord   tokenKind = iota // name, keyword or number
	tokenQuoted                  // `name`
	tokenString                  // 'text' or "text"
	tokenParam                   // :name
	tokenPunct                   // one character, or <=> or :=
	tokenComment
)

type token struct {
	kind tokenKind
	text string // of a quoted name and a parameter: the name alone
	from int    // offsets in the SQL
	to   int
}

func (t token) is(punct string) bool { return t.kind == tokenPunct && t.text == punct }

func (t token) word(word string) bool { return t.kind == tokenWord && strings.EqualFold(t.text, word) }

// name says whether the token can name a table or a column.
func (t token) name() bool { return t.kind == tokenWord || t.kind == tokenQuoted }

var (
	errOpenString  = errors.New("a quote is not closed")
	errOpenComment = errors.New("a comment is not closed")
)

// lex takes SQL apart; comments are left out.
func lex(sql string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(sql); {
		if n := spaceLen(sql[i:]); n > 0 {
			i += n
			continue
		}
		t, err := next(sql[i:])
		if err != nil {
			return nil, err
		}
		t.from, t.to = i, i+t.to
		i = t.to
		if t.kind != tokenComment {
			tokens = append(tokens, t)
		}
	}
	return tokens, nil
}

// next reads one token from the start of s; to is its length.
func next(s string) (token, error) {
	switch c := s[0]; {
	case c == '\'' || c == '"' || c == '`':
		return quoted(s)
	case c == '#', strings.HasPrefix(s, "--") && (len(s) == 2 || s[2] <= ' '):
		return token{kind: tokenComment, to: lineLen(s)}, nil
	case strings.HasPrefix(s, "/*"):
		end := strings.Index(s[2:], "*/")
		if end < 0 {
			return token{}, errOpenComment
		}
		return token{kind: tokenComment, to: end + 4}, nil
	case c == ':' && wordLen(s[1:]) > 0:
		n := 1 + wordLen(s[1:])
		return token{kind: tokenParam, text: s[1:n], to: n}, nil
	case wordLen(s) > 0:
		n := wordLen(s)
		return token{kind: tokenWord, text: s[:n], to: n}, nil
	}
	for _, long := range []string{"<=>", ":="} {
		if strings.HasPrefix(s, long) {
			return token{kind: tokenPunct, text: long, to: len(long)}, nil
		}
	}
	_, n := utf8.DecodeRuneInString(s)
	return token{kind: tokenPunct, text: s[:n], to: n}, nil
}

// quoted reads a string or a quoted name, in which the quote itself is written twice.
func quoted(s string) (token, error) {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quote != '`':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote && quote == '`':
			return token{kind: tokenQuoted, text: strings.ReplaceAll(s[1:i], "``", "`"), to: i + 1}, nil
		case s[i] == quote:
			return token{kind: tokenString, text: s[1:i], to: i + 1}, nil
		}
	}
	return token{}, errOpenString
}

func lineLen(s string) int {
	if n := strings.IndexByte(s, '\n'); n >= 0 {
		return n + 1
	}
	return len(s)
}

func spaceLen(s string) int { return len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace)) }

func wordLen(s string) int {
	for i, r := range s {
		if r != '_' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return i
		}
	}
	return len(s)
}
