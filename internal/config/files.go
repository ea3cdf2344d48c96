package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// locate makes file names relative to the folder of the configuration.
func (c *Config) locate(folder string) {
	at := func(name *string) {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(folder, *name)
		}
	}
	inTLS := func(t *TLS) {
		if t != nil {
			at(&t.CAFile)
			at(&t.CertFile)
			at(&t.KeyFile)
		}
	}
	at(&c.Queue.PasswordFile)
	inTLS(c.Queue.TLS)
	if c.Cache != nil {
		at(&c.Cache.PasswordFile)
		inTLS(c.Cache.TLS)
	}
	for name, r := range c.Caches {
		at(&r.PasswordFile)
		inTLS(r.TLS)
		c.Caches[name] = r
	}
	for i := range c.Placement {
		at(&c.Placement[i].ShopsFile)
	}
	if r := c.streamRedis(); r != nil {
		at(&r.PasswordFile)
		inTLS(r.TLS)
	}
	at(&c.Ledger.PasswordFile)
	inTLS(c.Ledger.TLS)
	for name, s := range c.Sources {
		at(&s.PasswordFile)
		inTLS(s.TLS)
		c.Sources[name] = s
	}
	at(&c.Policy.HashKeyFile)
	at(&c.Tracing.HeadersFile)
	inTLS(c.HTTP.TLS)
	for i := range c.HTTP.Tokens {
		at(&c.HTTP.Tokens[i].TokenFile)
	}
	for i := range c.Alerts.Sinks {
		for _, name := range c.Alerts.Sinks[i].files() {
			at(name)
		}
	}
}

// readSecrets puts the contents of password and token files into their fields, and those of files of shops.
func (c *Config) readSecrets() problems {
	var p problems
	p.secret("queue.password", c.Queue.PasswordFile, &c.Queue.Password)
	if c.Cache != nil {
		p.secret("cache.password", c.Cache.PasswordFile, &c.Cache.Password)
	}
	for name, r := range c.Caches {
		p.secret("caches."+name+".password", r.PasswordFile, &r.Password)
		c.Caches[name] = r
	}
	c.readShops(&p)
	if r := c.streamRedis(); r != nil {
		p.secret("feed.stream.redis.password", r.PasswordFile, &r.Password)
	}
	p.secret("ledger.password", c.Ledger.PasswordFile, &c.Ledger.Password)
	for name, s := range c.Sources {
		p.secret("sources."+name+".password", s.PasswordFile, &s.Password)
		c.Sources[name] = s
	}
	p.secret("policy.hash_key", c.Policy.HashKeyFile, &c.Policy.HashKey)
	for i := range c.HTTP.Tokens {
		t := &c.HTTP.Tokens[i]
		p.secret(fmt.Sprintf("http.tokens[%d].token", i), t.TokenFile, &t.Token)
	}
	for i := range c.Alerts.Sinks {
		c.Alerts.Sinks[i].readSecrets(&p, fmt.Sprintf("alerts.sinks[%d]", i))
	}
	return p
}

func (p *problems) secret(field, file string, to *string) {
	if file == "" {
		return
	}
	if *to != "" {
		p.add(field, "is given twice, here and in "+field+"_file", "keep one of the two")
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		p.add(field+"_file", fmt.Sprintf("cannot read %s: %s", file, reason(err)), "")
		return
	}
	*to = strings.TrimSpace(string(text))
	if *to == "" {
		p.add(field+"_file", file+" is empty", "write the secret into it")
	}
}
