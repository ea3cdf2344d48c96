package main

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/prewarm-go/prewarm/internal/grants"
	"github.com/prewarm-go/prewarm/internal/redisconn"
)

// leastRights is where the least rights are written down.
const leastRights = "`prewarm help grants` has the least rights"

// mysqlRights warns of rights that are not needed. That there are enough is for other checks to find.
func (d *doctor) mysqlRights(ctx context.Context, check string, db *sql.DB, needed grants.Needed) {
	lines, err := grants.Read(ctx, db)
	if err != nil {
		d.found(check, warn, err.Error(), "look at SHOW GRANTS as an administrator; "+leastRights)
		return
	}
	beyond := needed.Beyond(lines)
	if len(beyond) == 0 {
		d.found(check, ok, "no more than is needed", "")
		return
	}
	d.found(check, warn, "the user has more than it needs: "+shortened(beyond), leastRights)
}

// shortened is a list that fits a line.
func shortened(all []string) string {
	const most = 4
	if len(all) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
	}
	return strings.Join(all, ", ")
}

// redisRights finds out whether the user has what it needs, and warns of what it need not have.
func (d *doctor) redisRights(ctx context.Context, name string, client redis.UniversalClient) {
	check := name + " rights"
	enough := redisconn.QueueRights
	if name != "queue" {
		enough = func(ctx context.Context, client redis.UniversalClient) error {
			return redisconn.CacheRights(ctx, client, d.sampleKeys())
		}
	}
	if err := enough(ctx, client); err != nil {
		d.failed(check, err, leastRights)
		return
	}
	user, may, err := redisconn.Wider(ctx, client)
	switch {
	case err != nil:
		d.failed(check, err, leastRights)
	case len(may) > 0:
		slices.Sort(may)
		d.found(check, warn, "user "+user+" has more than it needs: it may "+strings.Join(may, ", "), leastRights)
	default:
		d.found(check, ok, "user "+user+" has what it needs, and no more", "")
	}
}

var inBraces = regexp.MustCompile(`\{[^{}]+\}`)

// sampleKeys are keys as the datasets would write them.
func (d *doctor) sampleKeys() []string {
	var keys []string
	for _, spec := range d.cfg.Datasets {
		keys = append(keys, inBraces.ReplaceAllString(spec.Key, "doctor"))
	}
	return keys
}
