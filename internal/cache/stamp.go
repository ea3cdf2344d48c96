package cache

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// Stamp is what the last piece of a page leaves in the cache behind its rows, on every node: a field of the run's mark.
// Redis applies, persists and replicates writes in their order, so a stamp that is there vouches for the pages before
// it: on a server that was flushed, that came back from an old snapshot, or that a lagging replica has replaced, stamps
// are missing or older than what the ledger knows. A page that a fenced writer sent too late shows in the same way.
// (Rows of `newer` and `missing` that have to be compared are written just behind the stamp.)
type Stamp struct {
	RunMark
	Unit  int
	Value int64 // StampValue
	Known int64 // the last stamp that the ledger knows of; 0: none, and the page is the unit's first

	Of  Watched // whose recent changes are looked at behind the rows
	Seq int64   // set by the write: the number of the newest of them
}

// maxPages is the most pages of a unit that a stamp can tell apart; units have some 20. A claim's number may go to 2^29
// before a stamp is beyond the integers that Lua counts exactly.
const maxPages = 1 << 24

// StampValue is the stamp of a page, counted from 1: any page of a later claim is more than all of an earlier one.
func StampValue(claim, page int64) int64 { return claim*maxPages + min(page, maxPages-1) }

// first says whether nothing is known to be there. Such a page is stamped before its rows too, with an opening: a flush between
// its rows and its stamp would not be seen otherwise.
func (s Stamp) first() bool { return s.Known == 0 }

func (s Stamp) opening() Stamp {
	return Stamp{RunMark: s.RunMark, Unit: s.Unit, Value: s.Value - 1, Of: s.Of}
}

// args are what the script is given to write the stamp when at least another must be there.
func (s Stamp) args(least int64, e Expiry) [4]int64 {
	return [...]int64{int64(s.Unit), s.Value, least, e.Until.UnixMilli()}
}

// least is what must be there when the stamp behind the rows is written.
func (s Stamp) least() int64 {
	if s.first() {
		return s.opening().Value
	}
	return s.Known
}

// LostError: the cache has lost pages of a unit that were written. The unit must be loaded again from its start.
type LostError struct {
	Stamp Stamp
	Have  int64 // 0: none
}

func (e *LostError) Error() string {
	return fmt.Sprintf("the cache has lost pages of unit %d: its stamp is %d, and %d was written", e.Stamp.Unit, e.Have, e.Stamp.least())
}

// RunMark names the mark of a run's epoch.
type RunMark struct {
	Run   string
	Epoch int
}

// key is where the mark stands on the node of a tag.
func (m RunMark) key(tag string) string {
	return redisconn.MarkKey(tag, m.Run, m.Epoch)
}

// clusterTags are hash tags one in each sixteenth of a Redis Cluster's slots: every master that has 2048 slots in a row
// has one. Slots that are moved take their marks with them.
var (
	clusterTags = []string{"18", "3", "61", "58", "19", "2", "60", "141", "106", "1", "67", "49", "103", "0", "66", "48"}
	oneTag      = clusterTags[:1]
)

func (w *Writer) tags() []string {
	if w.cluster() {
		return clusterTags
	}
	return oneTag
}

func (w *Writer) cluster() bool {
	_, cluster := w.client.(*redis.ClusterClient)
	return cluster
}

//go:embed stamp.lua
var stampLua string

// stamps are the commands that stamp every node, on which at least another stamp must be. The text of the script is sent along: it is short, and a page whose
// stamp is refused because the server does not know the script would have to be stamped behind time.
func (w *Writer) stamps(ctx context.Context, s Stamp, least int64, e Expiry) []*redis.Cmd {
	var cmds []*redis.Cmd
	var args []any
	for _, n := range s.args(least, e) {
		args = append(args, n)
	}
	if !w.cluster() {
		return []*redis.Cmd{redis.NewCmd(ctx, append([]any{"eval", stampLua, 2, s.key(oneTag[0]), s.Of.key()}, args...)...)}
	}
	for _, tag := range clusterTags {
		cmds = append(cmds, redis.NewCmd(ctx, append([]any{"eval", stampLua, 1, s.key(tag)}, args...)...))
	}
	return cmds
}

// check wants every node's stamp written; a *LostError if a node has lost what the ledger knows of.
func (s *Stamp) check(replies []*redis.Cmd) error {
	for _, reply := range replies {
		text, err := reply.Text()
		if err != nil {
			return &WriteError{Failed: 1, Sent: 1, Key: fmt.Sprint(reply.Args()[3]), Err: err}
		}
		if err := s.compare(text); err != nil {
			return err
		}
	}
	return nil
}

// compare wants the stamp that was there to be none that is older than what must be there. Behind it in the answer stands the
// number of the newest change.
func (s *Stamp) compare(answer string) error {
	was, seq, _ := strings.Cut(answer, " ")
	if have, _ := strconv.ParseInt(was, 10, 64); have < s.least() {
		return &LostError{Stamp: *s, Have: have}
	}
	s.Seq, _ = strconv.ParseInt(seq, 10, 64)
	return nil
}

// Keep gives a run's mark the expiry that a page's stamp would give it, on every node: keys whose expiry has moved must not outlive
// what vouches for them. A mark that is not there is not made.
func (w *Writer) Keep(ctx context.Context, m RunMark, e Expiry) error {
	pipe := w.client.Pipeline()
	for _, tag := range w.tags() {
		pipe.PExpireAt(ctx, m.key(tag), e.Until)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("keep the mark of run %s in the cache: %w", m.Run, err)
	}
	return nil
}

// Stamps are the stamps of the units of runs, the lowest of all nodes; a unit that has none on one of them is left out.
func (w *Writer) Stamps(ctx context.Context, marks []RunMark) ([]map[int]int64, error) {
	tags, pipe := w.tags(), w.client.Pipeline()
	replies := make([]*redis.MapStringStringCmd, 0, len(marks)*len(tags))
	for _, m := range marks {
		for _, tag := range tags {
			replies = append(replies, pipe.HGetAll(ctx, m.key(tag)))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read marks from the cache: %w", err)
	}
	stamps := make([]map[int]int64, len(marks))
	for i := range marks {
		stamps[i] = lowest(replies[i*len(tags) : (i+1)*len(tags)])
	}
	return stamps, nil
}

func lowest(nodes []*redis.MapStringStringCmd) map[int]int64 {
	stamps, seen := map[int]int64{}, map[int]int{}
	for _, node := range nodes {
		for field, text := range node.Val() {
			unit, err := strconv.Atoi(field)
			value, err2 := strconv.ParseInt(text, 10, 64)
			if err != nil || err2 != nil {
				continue // not ours
			}
			if was, ok := stamps[unit]; !ok || value < was {
				stamps[unit] = value
			}
			seen[unit]++
		}
	}
	for unit, n := range seen {
		if n < len(nodes) {
			delete(stamps, unit)
		}
	}
	return stamps
}
