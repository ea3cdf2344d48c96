package binlog

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Position is which transactions have been read. MariaDB: the last of each domain, as 0-1-100. MySQL: a set, as uuid:1-5:7, or with tags as
// uuid:1-5:tag:1-3.
type Position struct {
	mariadb bool
	domains map[string]string     // MariaDB: server and number, by domain
	sets    map[string][]interval // MySQL: by the server's UUID, or uuid:tag
}

// mostTag is the length of the longest tag.
const mostTag = 32

var tagged = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// interval is from first to last, both among them; those of a UUID are in order and do not touch.
type interval struct{ first, last uint64 }

// ParsePosition reads a position; an empty one is before all.
func ParsePosition(mariadb bool, text string) (Position, error) {
	p := Position{mariadb: mariadb, domains: map[string]string{}, sets: map[string][]interval{}}
	for _, part := range strings.Split(strings.Join(strings.Fields(text), ""), ",") {
		if part == "" {
			continue
		}
		if !p.add(strings.ToLower(part)) {
			return Position{}, fmt.Errorf("position %.100q of the binlog cannot be read", text)
		}
	}
	return p, nil
}

// add puts a GTID, or a set of one server, to what has been read.
func (p *Position) add(gtid string) bool {
	if p.mariadb {
		domain, rest, _ := strings.Cut(gtid, "-")
		server, number, ok := strings.Cut(rest, "-")
		for _, digits := range []string{domain, server, number} {
			if _, err := strconv.ParseUint(digits, 10, 64); err != nil {
				return false
			}
		}
		p.domains[domain] = rest
		return ok
	}
	id, rest, _ := strings.Cut(gtid, ":")
	if raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", "")); err != nil || len(raw) != 16 || len(id) != 36 {
		return false
	}
	key, bare := id, true // nothing follows the key yet
	for _, text := range strings.Split(rest, ":") {
		if len(text) <= mostTag && tagged.MatchString(text) {
			key, bare = id+":"+text, true
			continue
		}
		bare = false
		from, to, ranged := strings.Cut(text, "-")
		if !ranged {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 63)
		last, err2 := strconv.ParseUint(to, 10, 63)
		if err != nil || err2 != nil || first == 0 || last < first {
			return false
		}
		if p.sets == nil {
			p.sets = map[string][]interval{}
		}
		p.sets[key] = joined(p.sets[key], interval{first, last})
	}
	return !bare
}

// joined is pure.
func joined(all []interval, more interval) []interval {
	if n := len(all); n > 0 && all[n-1].last+1 == more.first { // the usual case
		all[n-1].last = more.last
		return all
	}
	all = append(slices.Clone(all), more)
	slices.SortFunc(all, func(a, b interval) int { return cmp.Compare(a.first, b.first) })
	out := all[:1]
	for _, next := range all[1:] {
		if last := &out[len(out)-1]; next.first <= last.last+1 {
			last.last = max(last.last, next.last)
		} else {
			out = append(out, next)
		}
	}
	return out
}

func (p Position) String() string {
	var parts []string
	if p.mariadb {
		for domain, rest := range p.domains {
			parts = append(parts, domain+"-"+rest)
		}
		slices.Sort(parts)
		return strings.Join(parts, ",")
	}
	last := ""
	for _, key := range slices.Sorted(maps.Keys(p.sets)) {
		id, tag, _ := strings.Cut(key, ":")
		text := key
		if id == last {
			text = ":" + tag
		}
		for _, i := range p.sets[key] {
			if text += fmt.Sprintf(":%d", i.first); i.last > i.first {
				text += fmt.Sprintf("-%d", i.last)
			}
		}
		if id == last {
			parts[len(parts)-1] += text
		} else {
			parts = append(parts, text)
		}
		last = id
	}
	return strings.Join(parts, ",")
}

// encoded is how MySQL wants a set: a number of UUIDs, and for each its intervals, whose ends are not in them. With tags, which servers before
// 8.3 do not have, the number stands between two ones, and a tag and twice its length follow each UUID.
func (p Position) encoded() []byte {
	keys := slices.Sorted(maps.Keys(p.sets))
	tags := slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(key, ":") })
	number := uint64(len(keys))
	if tags {
		number = 1<<56 | number<<8 | 1
	}
	out := binary.LittleEndian.AppendUint64(nil, number)
	for _, key := range keys {
		id, tag, _ := strings.Cut(key, ":")
		raw, _ := hex.DecodeString(strings.ReplaceAll(id, "-", "")) // add has checked it
		out = append(out, raw...)
		if tags {
			out = append(append(out, byte(len(tag)<<1)), tag...)
		}
		out = binary.LittleEndian.AppendUint64(out, uint64(len(p.sets[key])))
		for _, i := range p.sets[key] {
			out = binary.LittleEndian.AppendUint64(out, i.first)
			out = binary.LittleEndian.AppendUint64(out, i.last+1)
		}
	}
	return out
}
