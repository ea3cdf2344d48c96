package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// MainCache is what the cache of `cache` is called, and the cache of what is placed nowhere else, if there are several.
const MainCache = "main"

// cacheName is what a cache may be called: it stands in metrics, in the ledger and in names of environment variables.
var cacheName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// CacheServers are the caches by name: those of `caches`, and that of `cache` as MainCache.
func (c Config) CacheServers() map[string]Redis {
	all := make(map[string]Redis, len(c.Caches)+1)
	maps.Copy(all, c.Caches)
	if c.Cache != nil {
		all[MainCache] = *c.Cache
	}
	return all
}

// CacheRoles are what the caches are for, by their names, as far as somebody said.
func (c Config) CacheRoles() map[string]string {
	roles := map[string]string{}
	for name, r := range c.CacheServers() {
		if r.Role != "" {
			roles[name] = r.Role
		}
	}
	return roles
}

// CacheField is the field that describes a cache, for messages.
func (c Config) CacheField(name string) string {
	if _, ok := c.Caches[name]; !ok && name == MainCache {
		return "cache"
	}
	return "caches." + name
}

// DefaultCache is the cache of what is placed nowhere else: the only one, or MainCache; "": there is none.
func (c Config) DefaultCache() string {
	names := c.cacheNames()
	if len(names) == 1 {
		return names[0]
	}
	if slices.Contains(names, MainCache) {
		return MainCache
	}
	return ""
}

func (c Config) cacheNames() []string { return slices.Sorted(maps.Keys(c.CacheServers())) }

func (p *problems) caches(c Config) {
	if _, twice := c.Caches[MainCache]; twice && c.Cache != nil {
		p.add("caches."+MainCache, "is given twice: `cache` is the short form of it", "keep one of the two")
	}
	if c.Cache != nil {
		p.redis("cache", *c.Cache)
		p.noEviction("cache", *c.Cache)
		p.described("cache", *c.Cache)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Caches)) {
		field := "caches." + name
		if !cacheName.MatchString(name) {
			p.add(field, "is no name for a cache", "write lower case letters, digits, _ and -, at most 64")
		}
		p.redis(field, c.Caches[name])
		p.noEviction(field, c.Caches[name])
		p.described(field, c.Caches[name])
	}
}

// cache complains about a name that no cache has.
func (p *problems) cache(c Config, field, name string) {
	if names := c.cacheNames(); !slices.Contains(names, name) {
		p.add(field, fmt.Sprintf("%q is no cache", name), "caches are: "+strings.Join(names, ", "))
	}
}
