package cache

import (
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// WriteError: some commands of a batch did not succeed. The batch was sent up to and including the piece that failed.
type WriteError struct {
	Failed int    // keys that failed
	Sent   int    // keys sent, the failed ones among them
	Key    string // of the first that failed
	Err    error  // its error
}

func (e *WriteError) Error() string {
	text := fmt.Sprintf("write to the cache: %d of %d keys failed, the first is %s: %v", e.Failed, e.Sent, quote(e.Key), e.Err)
	if remedy, _ := remedyFor(e.Err); remedy != "" {
		text += "; " + remedy
	}
	return text
}

func (e *WriteError) Unwrap() error { return e.Err }

// quote keeps a key of any bytes and any length on one readable line.
func quote(key string) string {
	const enough = 200
	if len(key) > enough {
		return fmt.Sprintf("%q…", key[:enough])
	}
	return fmt.Sprintf("%q", key)
}

// failure looks at every reply of a piece; err is the pipeline's own.
func (b *Batch) failure(from, to int, err error) error {
	e := &WriteError{Sent: to}
	last := -1
	for i, cmd := range b.wire.cmds {
		cause := cmd.Err()
		if cause == nil {
			continue
		}
		if owner := b.wire.owner[i]; owner != last {
			e.Failed++
			last = owner
		}
		// EXECABORT stands for the error of another command of the same transaction.
		if e.Err == nil || redis.IsExecAbortError(e.Err) {
			e.Err, e.Key = cause, string(b.arg(b.cmds[last].first))
		}
	}
	if e.Err != nil {
		return e
	}
	if err != nil && !errors.Is(err, redis.Nil) { // not one command was blamed
		return &WriteError{Failed: to - from, Sent: to, Key: string(b.arg(b.cmds[from].first)), Err: err}
	}
	return nil
}

// remedies are the answers of Redis that stay the same however often the write is tried again.
var remedies = []struct{ prefix, remedy string }{
	{"OOM ", "the cache's memory is full: raise its maxmemory, free some, or set a maxmemory-policy that evicts"},
	{"NOPERM", "the cache's user may not do this: allow the command and the keys with ACL SETUSER"},
	{"WRONGTYPE", "the key holds another type: delete it, or give the dataset another key"},
	{"unknown command", "the cache's server lacks the command: Redis 6.2 or newer is needed"},
	{"syntax error", "the cache's server does not know SET … PXAT: Redis 6.2 or newer is needed"},
	{"invalid expire", "the broadcast's end is not a time that Redis takes"},
	{"Protocol error", "a key or value is larger than the cache's proto-max-bulk-len"},
	{"string exceeds", "a value is larger than the cache's proto-max-bulk-len"},
	{"NOAUTH", "the cache asks for a login: set cache.username and cache.password"},
	{"WRONGPASS", "the cache refused the login: correct cache.username and cache.password"},
}

func remedyFor(err error) (remedy string, definitive bool) {
	for _, r := range remedies {
		if redis.HasErrorPrefix(err, r.prefix) {
			return r.remedy, true
		}
	}
	return "", false
}

// Definitive says whether writing again cannot help until somebody changes something: memory is full, rights are
// missing, the key has another type, the server is too old. Everything else passes: a server that is loading, failing
// over or gone, a cluster that moves slots, a timeout.
func Definitive(err error) bool {
	_, definitive := remedyFor(err)
	return definitive || errors.Is(err, ErrMisused)
}
