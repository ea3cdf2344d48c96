package config

import (
	"fmt"
	"hash/fnv"
)

// Feed is where changes of the sources are read from.
type Feed struct {
	Stream *Stream `yaml:"stream,omitempty"` // a Redis stream
	Binlog *Binlog `yaml:"binlog,omitempty"` // of the sources themselves
}

// AllSources stands for each of them.
const AllSources = "all"

// Binlog is reading the sources' own logs as replicas do.
type Binlog struct {
	Source   string `yaml:"source,omitempty"`    // its name, or all
	ServerID uint32 `yaml:"server_id,omitempty"` // of the first source, by name; the others' follow. 0: made up from the ledger's DSN
}

// Server is the id that the first source is read with. One that is made up is the same for all pods of a ledger, and in the
// upper half, where people seldom number servers.
func (b *Binlog) Server(ledger string) uint32 {
	if b != nil && b.ServerID > 0 {
		return b.ServerID
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(RedactDSN(ledger)))
	return h.Sum32()>>1 | 1<<31
}

// Reads says whether a source's binlog is read.
func (b *Binlog) Reads(name string) bool {
	return b != nil && (b.Source == "" || b.Source == AllSources || b.Source == name)
}

// Stream is a Redis stream of changes: prewarm's own, or as Debezium, Maxwell or Canal write them.
type Stream struct {
	Name  string `yaml:"name"`            // its key
	Redis *Redis `yaml:"redis,omitempty"` // where it is; default: queue's
}

func (p *problems) feed(c Config) {
	f := c.Feed
	if f.Binlog != nil && f.Binlog.Source != "" && f.Binlog.Source != AllSources {
		if _, ok := c.Sources[f.Binlog.Source]; !ok {
			p.add("feed.binlog.source", fmt.Sprintf("%q is no source", f.Binlog.Source), "write a name under sources, or all")
		}
	}
	if f.Stream == nil {
		return
	}
	if f.Stream.Name == "" {
		p.add("feed.stream.name", "is missing", "write the stream's key")
	}
	if f.Stream.Redis != nil {
		p.redis("feed.stream.redis", *f.Stream.Redis)
		p.undescribed("feed.stream.redis", *f.Stream.Redis)
		p.noEviction("feed.stream.redis", *f.Stream.Redis)
	}
}

// streamRedis is the stream's own Redis, or nil.
func (c *Config) streamRedis() *Redis {
	if c.Feed.Stream == nil {
		return nil
	}
	return c.Feed.Stream.Redis
}
