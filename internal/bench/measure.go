package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// figures are what one pass over all rows took.
type figures struct {
	Seconds  float64 `json:"seconds"`
	Rate     float64 `json:"rows_per_second"`
	CPU      float64 `json:"cpu_seconds_per_million_rows"` // of all processes
	Client   float64 `json:"cpu_client"`
	Database float64 `json:"cpu_database"`
	Redis    float64 `json:"cpu_redis"`
	Peak     float64 `json:"peak_memory_mib,omitempty"`       // of the client; as the others where it is known
	Delta    float64 `json:"peak_memory_delta_mib,omitempty"` // above idle
	Allocs   float64 `json:"allocations_per_row,omitempty"`
}

// watch waits for the first key and for the last one, and says what lay between them.
func (s *stand) watch(ctx context.Context, client func() (float64, error), keys int) (figures, error) {
	var f figures
	if err := s.await(ctx, 1); err != nil {
		return f, err
	}
	began := time.Now()
	before, err := s.used(client)
	if err != nil {
		return f, err
	}
	if err := s.await(ctx, keys); err != nil {
		return f, err
	}
	took := time.Since(began)
	after, err := s.used(client)
	if err != nil {
		return f, err
	}
	return s.figures(took, before, after), nil
}

// tick is how often the cache is asked how many keys it has; a hundredth of a second in several.
const tick = 3 * time.Millisecond

func (s *stand) await(ctx context.Context, keys int) error {
	limit := time.Now().Add(5*time.Minute + time.Duration(s.o.rows)*100*time.Microsecond)
	for {
		n, err := s.redis.DBSize(ctx).Result()
		if err != nil {
			return err
		}
		if n >= int64(keys) {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%d keys of %d were written in time", n, keys)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(tick):
		}
	}
}

// use is CPU time in seconds.
type use struct{ client, database, redis float64 }

func (s *stand) used(client func() (float64, error)) (u use, err error) {
	var queue float64
	u.database, err = cpuOf(s.db.PID())
	errs := []error{err}
	u.redis, err = cpuOf(s.cache.PID())
	errs = append(errs, err)
	queue, err = cpuOf(s.queue.PID())
	errs = append(errs, err)
	u.redis += queue
	u.client, err = client()
	return u, errors.Join(append(errs, err)...)
}

func (s *stand) figures(took time.Duration, before, after use) figures {
	per := 1e6 / float64(s.o.rows)
	f := figures{
		Seconds: took.Seconds(), Rate: float64(s.o.rows) / took.Seconds(),
		Client: (after.client - before.client) * per, Database: (after.database - before.database) * per, Redis: (after.redis - before.redis) * per,
	}
	f.CPU = f.Client + f.Database + f.Redis
	return f
}

// cpuOf is the CPU time of a process, in seconds; Linux counts it in hundredths.
func cpuOf(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100, err
}

func cpuOfThis() (float64, error) { return cpuOf(os.Getpid()) }

// memoryOf is a field of a process' status, such as VmHWM, in MiB.
func memoryOf(pid int, field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no %s", pid, field)
}

// empty makes the cache and the queue as new.
func (s *stand) empty(ctx context.Context) error {
	return errors.Join(s.redis.FlushAll(ctx).Err(), s.queueDB.FlushAll(ctx).Err())
}
