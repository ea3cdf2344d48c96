package config

import (
	"net/url"
	"slices"
	"strings"
)

const hidden = "xxxxx"

// RedactDSN is a go-sql-driver DSN without its password, fit for logs. What it cannot read it does not show at all.
func RedactDSN(dsn string) string {
	if dsn == "" {
		return ""
	}
	slash := strings.LastIndexByte(dsn, '/') // as the driver reads it: the password may hold "/", "@" and ":"
	if slash < 0 {
		return "(unreadable DSN)"
	}
	head, schema := dsn[:slash], dsn[slash:]
	if i := strings.IndexByte(schema, '?'); i >= 0 {
		schema = schema[:i]
	}
	at := strings.LastIndexByte(head, '@')
	if at < 0 {
		return head + schema
	}
	user, _, withPassword := strings.Cut(head[:at], ":")
	if withPassword {
		user += ":" + hidden
	}
	return user + head[at:] + schema
}

// RedactURL is a URL without its password, fit for logs. What it cannot read it does not show at all.
func RedactURL(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return "(unreadable URL)"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}

// Redacted is a copy of the configuration that can be shown.
func (c Config) Redacted() Config {
	c.Queue = c.Queue.redacted()
	if c.Cache != nil {
		cache := c.Cache.redacted()
		c.Cache = &cache
	}
	caches := make(map[string]Redis, len(c.Caches))
	for name, r := range c.Caches {
		caches[name] = r.redacted()
	}
	c.Caches = caches
	if r := c.streamRedis(); r != nil {
		stream, redacted := *c.Feed.Stream, r.redacted()
		stream.Redis = &redacted
		c.Feed.Stream = &stream
	}
	c.Ledger.DSN, c.Ledger.Password = RedactDSN(c.Ledger.DSN), hide(c.Ledger.Password)
	sources := make(map[string]Source, len(c.Sources))
	for name, s := range c.Sources {
		s.DSN, s.Password = RedactDSN(s.DSN), hide(s.Password)
		s.Replicas = slices.Clone(s.Replicas)
		for i, dsn := range s.Replicas {
			s.Replicas[i] = RedactDSN(dsn)
		}
		sources[name] = s
	}
	c.Sources = sources
	c.HTTP.Public, c.Tracing.Endpoint = RedactURL(c.HTTP.Public), RedactURL(c.Tracing.Endpoint)
	c.HTTP.Tokens = slices.Clone(c.HTTP.Tokens)
	for i := range c.HTTP.Tokens {
		c.HTTP.Tokens[i].Token = hide(c.HTTP.Tokens[i].Token)
	}
	c.Policy.HashKey = hide(c.Policy.HashKey)
	c.Datasets = slices.Clone(c.Datasets)
	for i := range c.Datasets {
		c.Datasets[i].HashKey = hide(c.Datasets[i].HashKey)
	}
	c.Alerts = c.Alerts.redacted()
	return c
}

func (r Redis) redacted() Redis {
	r.URL = RedactURL(r.URL)
	r.Password = hide(r.Password)
	return r
}

func hide(secret string) string {
	if secret == "" {
		return ""
	}
	return hidden
}
