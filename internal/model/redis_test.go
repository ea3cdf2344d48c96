//go:build !race

package model

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// redisServer is what the model needs of the queue's Redis: the leases and the ready flags, and what expires of them.
type redisServer struct {
	w    *world
	keys map[string]stored
}

type stored struct {
	value string
	until time.Time // zero: for ever
}

func (r *redisServer) get(key string) (string, bool) {
	v, ok := r.keys[key]
	if !ok || !v.until.IsZero() && !v.until.After(time.Now()) {
		return "", false
	}
	return v.value, true
}

// Scripts are known by what is in them, whatever their hash is.
type script int

const (
	obtainLock script = iota
	refreshLock
	releaseLock
)

var scripts sync.Map // by hash; the same for all worlds

func scriptOf(source string) script {
	switch {
	case strings.Contains(source, `"NX"`):
		return obtainLock
	case strings.Contains(source, `"pexpire"`):
		return refreshLock
	case strings.Contains(strings.ToLower(source), `"del"`):
		return releaseLock
	}
	panic("unknown script:\n" + source)
}

type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

// hook stands where a client of go-redis would open its connection.
type hook struct {
	serve func(ctx context.Context, cmds []redis.Cmder) error
}

func (h hook) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) {
		return nil, fmt.Errorf("the model dials nobody")
	}
}

func (h hook) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h.serve(ctx, []redis.Cmder{cmd}); err != nil {
			cmd.SetErr(err)
		}
		return cmd.Err()
	}
}

func (h hook) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := h.serve(ctx, cmds); err != nil {
			for _, c := range cmds {
				c.SetErr(err)
			}
			return err
		}
		for _, c := range cmds {
			if c.Err() != nil {
				return c.Err()
			}
		}
		return nil
	}
}

func newClient(serve func(ctx context.Context, cmds []redis.Cmder) error) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	c.AddHook(hook{serve})
	return c
}

// serve answers what packages lease and cache (flags) ask of the queue's Redis. The reply is written to the commands
// only if the caller gets it: it may have given up.
func (r *redisServer) serve(ctx context.Context, cmds []redis.Cmder) error {
	if script, ok := unknownScript(cmds[0]); ok {
		return script
	}
	replies := make([]func(), len(cmds))
	texts := make([]string, len(cmds))
	for i, c := range cmds {
		texts[i] = describe(c)
	}
	a, began := actorOf(ctx), time.Now()
	err := r.w.gate(ctx, toRedis, "redis: "+strings.Join(texts, "; "), func() {
		for i, c := range cmds {
			replies[i] = r.do(a, c, began)
		}
	})
	if err != nil {
		return err
	}
	for _, reply := range replies {
		reply()
	}
	return nil
}

// unknownScript is how a server answers a hash that it has never seen the script of.
func unknownScript(c redis.Cmder) (error, bool) {
	if c.Name() != "evalsha" {
		return nil, false
	}
	_, ok := scripts.Load(c.Args()[1])
	return redisError("NOSCRIPT No matching script"), !ok
}

func describe(c redis.Cmder) string {
	args := c.Args()
	switch c.Name() {
	case "eval", "evalsha":
		s, ok := scripts.Load(args[1])
		if !ok {
			s = scriptOf(text(args[1]))
		}
		what := [...]string{"obtain", "refresh", "release"}[s.(script)]
		return fmt.Sprintf("%s lease of %s for run %s", what, shopOf(text(args[3])), shortRun(text(args[4])))
	case "set":
		return "set " + text(args[1])
	}
	if len(args) > 1 {
		return c.Name() + " " + text(args[1])
	}
	return c.Name()
}

// do does a command and returns what writes its reply.
func (r *redisServer) do(a *actor, c redis.Cmder, began time.Time) func() {
	args := c.Args()
	switch c.Name() {
	case "eval":
		sum := sha1.Sum([]byte(text(args[1])))
		s := scriptOf(text(args[1]))
		scripts.Store(hex.EncodeToString(sum[:]), s)
		return r.script(a, s, c, began)
	case "evalsha":
		s, _ := scripts.Load(args[1])
		return r.script(a, s.(script), c, began)
	case "get":
		v, ok := r.get(text(args[1]))
		return func() {
			if !ok {
				c.SetErr(redis.Nil)
			} else {
				c.(*redis.StringCmd).SetVal(v)
			}
		}
	case "del":
		delete(r.keys, text(args[1]))
		return func() { c.(*redis.IntCmd).SetVal(1) }
	case "set":
		return r.set(c)
	}
	panic("the queue's Redis is asked for " + c.String())
}

func (r *redisServer) set(c redis.Cmder) func() {
	args := c.Args()
	key, v := text(args[1]), stored{value: text(args[2])}
	for i := 3; i < len(args); i++ {
		switch strings.ToLower(text(args[i])) {
		case "pxat":
			v.until = time.UnixMilli(number(args[i+1]))
			i++
		case "xx":
			if _, ok := r.get(key); !ok {
				return func() { c.SetErr(redis.Nil) }
			}
		default:
			panic("the queue's Redis is asked for " + c.String())
		}
	}
	r.keys[key] = v
	return func() { c.(*redis.Cmd).SetVal("OK") }
}

func (r *redisServer) script(a *actor, s script, c redis.Cmder, began time.Time) func() {
	args := c.Args()
	key, value := text(args[3]), text(args[4])
	cmd := c.(*redis.Cmd)
	held, ok := r.get(key)
	switch s {
	case obtainLock:
		offset, ttl := number(args[5]), time.Duration(number(args[6]))*time.Millisecond
		token := value[:offset]
		if ok && !strings.HasPrefix(held, token) {
			return func() { cmd.SetErr(redis.Nil) }
		}
		r.keys[key] = stored{value, time.Now().Add(ttl)}
		r.w.ghost.obtained(a.pod, shopOf(key), token, began, ttl)
		return func() { cmd.SetVal("OK") }
	case refreshLock:
		if !ok || held != value {
			return func() { cmd.SetVal(int64(0)) }
		}
		ttl := time.Duration(number(args[5])) * time.Millisecond
		if !r.w.mut.leaseNotRenewed {
			r.keys[key] = stored{value, time.Now().Add(ttl)}
		}
		r.w.ghost.obtained(a.pod, shopOf(key), value[:32], began, ttl)
		return func() { cmd.SetVal(int64(1)) }
	case releaseLock:
		n := int64(0)
		if ok && strings.HasPrefix(held, value) {
			delete(r.keys, key)
			n = 1
		}
		r.w.ghost.released(shopOf(key), value[:32])
		return func() { cmd.SetVal(n) }
	}
	panic("unknown script")
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return fmt.Sprint(v)
}

func number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case int:
		return int64(v)
	case *int64:
		return *v
	}
	n, err := strconv.ParseInt(text(v), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// shopOf is the shop in a lease's or flag's key.
func shopOf(key string) string {
	for _, shop := range shops {
		if strings.Contains(key, shop) {
			return shop
		}
	}
	return key
}

// cacheServer is the cache's Redis: the rows and when they expire, and the marks of the runs.
type cacheServer struct {
	w     *world
	rows  map[string]cached
	marks map[string]mark
}

// mark are the stamps of a run's epoch, by unit.
type mark struct {
	stamps map[string]int64
	until  int64 // Unix milliseconds
}

// mark is what is left of a mark.
func (r *cacheServer) mark(key string) mark {
	if m, ok := r.marks[key]; ok && m.until > time.Now().UnixMilli() {
		return m
	}
	return mark{stamps: map[string]int64{}}
}

type cached struct {
	version int
	until   int64 // Unix milliseconds
}

// serve answers what package cache asks of the cache.
func (r *cacheServer) serve(ctx context.Context, cmds []redis.Cmder) error {
	a := actorOf(ctx)
	switch cmds[0].Name() {
	case "hgetall":
		return r.w.gate(ctx, toCache, "cache: read marks", func() { r.read(cmds) })
	case "pexpireat":
		if strings.HasPrefix(text(cmds[0].Args()[1]), redisconn.Own) {
			return r.w.gate(ctx, toCache, "cache: keep a mark", func() { r.keep(cmds[0]) })
		}
	case "info", "scan":
		return r.w.gate(ctx, toCache, "cache: "+cmds[0].Name(), func() { r.tell(cmds[0]) })
	case "eval":
		if strings.Contains(text(cmds[0].Args()[1]), "PEXPIRETIME") {
			return r.w.gate(ctx, toCache, "cache: move expiries", func() { r.extend(cmds[0]) })
		}
	}
	var page []write
	var stamps []*stamp
	for _, c := range cmds {
		if c.Name() == "eval" {
			stamps = append(stamps, stampOf(c))
		} else {
			page = append(page, writeOf(c))
		}
	}
	if len(page) > 0 {
		r.w.mu.Lock()
		r.w.ghost.writing(a)
		r.w.mu.Unlock()
	}
	what := "cache: open a unit"
	if len(page) > 0 {
		what = fmt.Sprintf("cache: %s %s … (%d rows)", page[0].verb, page[0].key, len(page))
	}
	apply := func() {
		if len(page) > 0 {
			r.apply(a, page)
		}
		for _, s := range stamps {
			r.stamp(s)
		}
	}
	if r.w.mut.cursorBeforeWrite && a.task != nil {
		r.w.behind(a, what, apply)
		for _, s := range stamps {
			s.cmd.SetVal(strconv.FormatInt(s.known, 10) + " 0")
		}
		return nil
	}
	if err := r.w.gate(ctx, toCache, what, apply); err != nil {
		return err
	}
	for _, s := range stamps {
		s.cmd.SetVal(s.was + " 0")
	}
	return nil
}

// stamp is a call of cache's stamp.lua.
type stamp struct {
	cmd          *redis.Cmd
	key, unit    string
	value, known int64
	until        int64
	was          string // the reply, with the number of the newest change
}

func stampOf(c redis.Cmder) *stamp {
	args := c.Args()
	return &stamp{cmd: c.(*redis.Cmd), key: text(args[3]), unit: text(args[5]), value: number(args[6]), known: number(args[7]), until: number(args[8])}
}

// stamp does what stamp.lua does.
func (r *cacheServer) stamp(s *stamp) {
	m := r.mark(s.key)
	have, ok := m.stamps[s.unit]
	if ok {
		s.was = strconv.FormatInt(have, 10)
	}
	if have < s.known {
		return
	}
	m.stamps[s.unit], m.until = s.value, s.until
	r.marks[s.key] = m
}

// keep gives a mark that is there another expiry.
func (r *cacheServer) keep(c redis.Cmder) {
	key := text(c.Args()[1])
	if m := r.mark(key); len(m.stamps) > 0 && !r.w.mut.marksNotKept {
		r.marks[key] = mark{m.stamps, number(c.Args()[2])}
	}
}

// tell says how many keys there are, or all that match a prefix at once.
func (r *cacheServer) tell(c redis.Cmder) {
	if info, ok := c.(*redis.StringCmd); ok {
		info.SetVal(fmt.Sprintf("redis_version:7.2.0\r\ndb0:keys=%d,expires=0\r\n", len(r.rows)))
		return
	}
	var keys []string
	for key := range r.rows {
		if strings.HasPrefix(key, strings.TrimSuffix(text(c.Args()[3]), "*")) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	c.(*redis.ScanCmd).SetVal(keys, 0)
}

// extend does what extend.lua does.
func (r *cacheServer) extend(c redis.Cmder) {
	keys := int(number(c.Args()[2]))
	args, moved := c.Args()[3+keys:], int64(0)
	each := 1 + int(number(args[0]))
	for i, key := range c.Args()[3 : 3+keys] {
		at := args[1+i*each : 1+(i+1)*each]
		had, ok := r.rows[text(key)]
		if ok && slices.ContainsFunc(at[1:], func(former any) bool { return number(former) == had.until }) {
			r.rows[text(key)] = cached{had.version, number(at[0])}
			moved++
		}
	}
	c.(*redis.Cmd).SetVal(moved)
}

func (r *cacheServer) read(cmds []redis.Cmder) {
	for _, c := range cmds {
		fields := map[string]string{}
		for unit, value := range r.mark(text(c.Args()[1])).stamps {
			fields[unit] = strconv.FormatInt(value, 10)
		}
		c.(*redis.MapStringStringCmd).SetVal(fields)
	}
}

// flush is FLUSHALL.
func (r *cacheServer) flush() {
	clear(r.rows)
	clear(r.marks)
	r.w.ghost.cacheLost = time.Now()
}

// write is a command's content, copied: its arguments stand in a buffer that is used again.
type write struct {
	verb    string
	key     string
	version int
	until   int64
}

func writeOf(c redis.Cmder) write {
	args := c.Args()
	w := write{verb: c.Name(), key: text(args[1])}
	switch w.verb {
	case "set":
		w.version, w.until = versionOf(text(args[2])), number(args[4])
	case "pexpireat":
		w.until = number(args[2])
	default:
		panic("the cache is asked for " + c.String())
	}
	return w
}

func (r *cacheServer) apply(a *actor, page []write) {
	r.w.ghost.wrote(a, page)
	for _, w := range page {
		had, ok := r.rows[w.key]
		switch {
		case w.verb == "set":
			r.w.ghost.replaced(a, w, had, ok)
			r.rows[w.key] = cached{w.version, w.until}
		case ok:
			r.rows[w.key] = cached{had.version, w.until}
		}
	}
}
