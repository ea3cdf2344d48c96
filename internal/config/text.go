package config

import (
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// setText reads text as dst's type; the answer says what is wrong with it, without quoting it.
func setText(dst reflect.Value, text string) (wrong string) {
	switch {
	case dst.Type() == durationType:
		v, err := time.ParseDuration(text)
		if err != nil {
			return "must be a duration such as 30s, 10m or 1h30m"
		}
		dst.SetInt(int64(v))
	case dst.Type() == sizeType:
		v, ok := ParseSize(text)
		if !ok {
			return "must be a size such as 8GiB or 512MiB"
		}
		dst.SetInt(int64(v))
	case dst.Kind() == reflect.String:
		dst.SetString(text)
	case dst.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return "must be true or false"
		}
		dst.SetBool(text == "true")
	case dst.CanInt():
		v, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, dst.Type().Bits())
		if err != nil {
			return "must be a whole number"
		}
		dst.SetInt(v)
	case dst.CanFloat():
		v, err := strconv.ParseFloat(text, dst.Type().Bits())
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return "must be a number"
		}
		dst.SetFloat(v)
	default:
		return "cannot be set"
	}
	return ""
}

// A `$${` stands for a plain `${`.
var variable = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

var variableName = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// expand puts environment variables into text. What they hold is never read as YAML.
func (d *decoder) expand(text string, line int, field string) string {
	return variable.ReplaceAllStringFunc(text, func(match string) string {
		if strings.HasPrefix(match, "$$") {
			return match[1:]
		}
		name := variableName.FindStringSubmatch(match)
		if name == nil {
			d.at(line, field, "has a ${ that is not ${NAME}", "write $${ for a plain ${")
			return ""
		}
		value, ok, wrong := d.lookup(name[1])
		switch {
		case wrong != "":
			d.at(line, field, wrong, "")
		case !ok:
			d.at(line, field, "environment variable "+name[1]+" is not set", "set it, or write the value here")
		}
		return value
	})
}

// suggest is the remedy for an unknown name: the nearest of those that exist, if one is near.
func suggest(name string, names []string) string {
	best, at := len(name)/3+2, -1 // a third of the letters may be wrong, and one more
	for i, n := range names {
		if d := distance(strings.ToLower(name), n); d < best {
			best, at = d, i
		}
	}
	if at < 0 {
		return "known here: " + strings.Join(names, ", ")
	}
	return `did you mean "` + names[at] + `"?`
}

// distance is how many letters must be added, removed or replaced to get from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
