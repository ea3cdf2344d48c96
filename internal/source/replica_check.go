package source

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/mysqlconn"
)

// ReplicaLacks says why a server cannot stand in for this one when pages are read; nothing if it can. A Lack that Stops has to
// be mended by somebody.
func (s *Source) ReplicaLacks(ctx context.Context, replica *Source) ([]Lack, error) {
	mariadb, err := s.mariadb()
	if err != nil {
		return nil, err
	}
	if other, err := replica.mariadb(); err != nil || other != mariadb {
		return []Lack{{What: "one of the two is a MariaDB and the other is not", Remedy: "name a replica of the source's own kind", Stops: true}}, err
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return nil, err
	}
	channels, err := mysqlconn.ReplicaStatus(ctx, replica.db)
	if err != nil {
		return nil, fmt.Errorf("source %s: ask how it replicates: %w; grant its user REPLICATION CLIENT (MariaDB: REPLICA MONITOR)", replica.name, err)
	}
	// The replica's position is read before the primary's: what the primary has it may not be behind of.
	query := "SELECT @@GLOBAL.gtid_executed"
	if mariadb {
		query = "SELECT @@GLOBAL.gtid_slave_pos"
	}
	theirs := ""
	if err := replica.db.QueryRowContext(ctx, query).Scan(&theirs); err != nil {
		return nil, fmt.Errorf("source %s: read its position: %w", replica.name, err)
	}
	id, position, err := s.identity(ctx, mariadb)
	if err != nil {
		return nil, err
	}
	early := mariadb && ahead(theirs, position)
	if own := ownOf(theirs, id); own != "" && settings["gtid_mode"] == "ON" {
		if early, err = s.never(ctx, own); err != nil {
			return nil, err
		}
	}
	return replicaLacks(mariadb, settings, id, channels, early, position), nil
}

// committing is how long a primary may take to commit what a replica of MySQL has already: it is handed out before.
const committing = 500 * time.Millisecond

// never says whether a MySQL does not have transactions, nor commits them now.
func (s *Source) never(ctx context.Context, transactions string) (bool, error) {
	var missed sql.NullInt64
	err := s.db.QueryRowContext(ctx, "SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?)", transactions, committing.Seconds()).Scan(&missed)
	if err != nil {
		return false, fmt.Errorf("source %s: look for what a replica has: %w", s.name, err)
	}
	return missed.Int64 != 0, nil
}

// ownOf is what of a position of MySQL, such as uuid:1-5:7,other:1-9, one server has committed first.
func ownOf(position, uuid string) string {
	var own []string
	for part := range strings.SplitSeq(strings.Join(strings.Fields(position), ""), ",") {
		if strings.HasPrefix(part, uuid+":") {
			own = append(own, part)
		}
	}
	return strings.Join(own, ",")
}

// identity is by what replicas know a server, and how far it is.
func (s *Source) identity(ctx context.Context, mariadb bool) (id, position string, err error) {
	query := "SELECT @@GLOBAL.server_uuid"
	if mariadb {
		query = "SELECT @@GLOBAL.server_id"
	}
	if err := s.db.QueryRowContext(ctx, query).Scan(&id); err != nil {
		return "", "", fmt.Errorf("source %s: read who the server is: %w", s.name, err)
	}
	position, err = s.BinlogPosition(ctx)
	return id, position, err
}

// replicaLacks is pure. early: the replica has of the primary's own what the primary has not.
func replicaLacks(mariadb bool, primary map[string]string, id string, channels []map[string]string, early bool, position string) (lacks []Lack) {
	stops := func(what, remedy string) { lacks = append(lacks, Lack{What: what, Remedy: remedy, Stops: true}) }
	if primary["log_bin"] == "OFF" || position == "" {
		stops("the primary writes no binlog, so that nobody can tell how far a replica is", "start the primary with log_bin")
	}
	if !mariadb && primary["gtid_mode"] != "ON" {
		stops("gtid_mode of the primary is not ON", "turn it on, as the manual of MySQL says")
	}
	from := slices.IndexFunc(channels, func(c map[string]string) bool { return id == sourceOf(mariadb, c) })
	switch {
	case len(channels) == 0:
		stops("it is no replica", "name a server that replicates from sources.*.dsn")
	case from < 0:
		stops("it replicates from another server", "name a server that replicates from sources.*.dsn, and give every server an id of its own")
	case early:
		stops("it is ahead of the primary, so that it has come from another one, or the primary has begun anew", "name a server that replicates from sources.*.dsn, give every server an id of its own, and make replicas of a primary that has begun anew again")
	}
	if len(lacks) > 0 {
		return lacks
	}
	for name, value := range channels[from] {
		if value != "" && strings.HasPrefix(name, "Replicate_") {
			stops("it leaves out what "+name+" says", "name a replica without filters")
		}
	}
	for _, thread := range [][2]string{{"Replica_IO_Running", "Slave_IO_Running"}, {"Replica_SQL_Running", "Slave_SQL_Running"}} {
		if state := cmp.Or(channels[from][thread[0]], channels[from][thread[1]]); state != "Yes" {
			lacks = append(lacks, Lack{What: thread[0] + " is " + cmp.Or(state, "unknown"), Remedy: "look at SHOW REPLICA STATUS, and run START REPLICA"})
		}
	}
	return lacks
}

// sourceOf is by what a channel knows the server that it replicates from.
func sourceOf(mariadb bool, channel map[string]string) string {
	if mariadb {
		return channel["Master_Server_Id"]
	}
	return cmp.Or(channel["Source_UUID"], channel["Master_UUID"])
}

// ahead says whether a replica of MariaDB has what its primary had not when it was asked later.
func ahead(replica, primary string) bool {
	have := domains(primary)
	for domain, number := range domains(replica) {
		if upTo, ok := have[domain]; ok && number > upTo {
			return true
		}
	}
	return false
}

// domains are the numbers in a position of MariaDB, such as 0-1-17,5-2-9.
func domains(position string) map[string]uint64 {
	all := map[string]uint64{}
	for id := range strings.SplitSeq(position, ",") {
		part := strings.Split(id, "-")
		if len(part) != 3 {
			continue
		}
		if n, err := strconv.ParseUint(part[2], 10, 64); err == nil {
			all[part[0]] = n
		}
	}
	return all
}
