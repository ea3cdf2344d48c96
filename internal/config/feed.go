package config

// Feed is where changes of the sources are read from.
type Feed struct {
	Stream *Stream `yaml:"stream,omitempty"` // a Redis stream
}

// Stream is a Redis stream of changes: prewarm's own, or as Debezium, Maxwell or Canal write them.
type Stream struct {
	Name  string `yaml:"name"`            // its key
	Redis *Redis `yaml:"redis,omitempty"` // where it is; default: queue's
}

func (p *problems) feed(f Feed) {
	if f.Stream == nil {
		return
	}
	if f.Stream.Name == "" {
		p.add("feed.stream.name", "is missing", "write the stream's key")
	}
	if f.Stream.Redis != nil {
		p.redis("feed.stream.redis", *f.Stream.Redis)
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
