package cache

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Caches are the caches of a pod's configuration, by name.
type Caches struct {
	clients map[string]redis.UniversalClient
	writers map[string]*Writer
}

// NewCaches are those of clients, whose owner closes them.
func NewCaches(clients map[string]redis.UniversalClient) *Caches {
	c := &Caches{clients: clients, writers: make(map[string]*Writer, len(clients))}
	for name, client := range clients {
		c.writers[name] = New(client)
	}
	return c
}

// Names are the caches' names, sorted.
func (c *Caches) Names() []string { return slices.Sorted(maps.Keys(c.clients)) }

// All are the caches in the order of their names.
func (c *Caches) All() iter.Seq2[string, redis.UniversalClient] {
	return func(yield func(string, redis.UniversalClient) bool) {
		for _, name := range c.Names() {
			if !yield(name, c.clients[name]) {
				return
			}
		}
	}
}

// Writer writes to one of the caches. The error is an *UnknownError.
func (c *Caches) Writer(name string) (*Writer, error) {
	if w, ok := c.writers[name]; ok {
		return w, nil
	}
	return nil, &UnknownError{Name: name, Known: c.Names()}
}

// Client is the client of one of the caches. The error is an *UnknownError.
func (c *Caches) Client(name string) (redis.UniversalClient, error) {
	if client, ok := c.clients[name]; ok {
		return client, nil
	}
	return nil, &UnknownError{Name: name, Known: c.Names()}
}

// Close closes the connections of the writers' streams.
func (c *Caches) Close() error {
	var errs []error
	for _, w := range c.writers {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}

// UnknownError: what was placed in a cache is asked of a pod whose configuration does not have it, any more or yet.
type UnknownError struct {
	Name  string
	Known []string
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("cache %s is not in this pod's configuration, which has %s; put it back until what was planned for it is over, "+
		"or have its runs planned anew with `prewarm restart`", e.Name, strings.Join(e.Known, ", "))
}
