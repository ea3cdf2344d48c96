package source

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prewarm-go/prewarm/internal/grants"
)

// Lack is what a server lacks for its binlog to tell of every change.
type Lack struct {
	What   string
	Remedy string
	Stops  bool // it cannot be read at all; otherwise some changes are not told
}

// BinlogLacks says what the server's settings and the user's rights lack for finding the changed rows of these datasets.
func (s *Source) BinlogLacks(ctx context.Context, bound []*Bound) ([]Lack, error) {
	mariadb, err := s.mariadb()
	if err != nil {
		return nil, err
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return nil, err
	}
	lacks := settingsLack(mariadb, settings)
	if lines, err := grants.Read(ctx, s.db); err == nil && !mayFollow(lines) {
		lacks = append(lacks, Lack{What: "the user may not read the binlog", Remedy: "GRANT REPLICATION SLAVE ON *.* to it", Stops: true})
	}
	if image := strings.ToUpper(settings["binlog_row_image"]); image != "FULL" && image != "" {
		lacks = append(lacks, imageLacks(image, bound)...)
	}
	return lacks, nil
}

func (s *Source) settings(ctx context.Context) (map[string]string, error) {
	rows, err := s.db.QueryContext(ctx, `SHOW GLOBAL VARIABLES WHERE Variable_name IN
		('log_bin', 'binlog_format', 'binlog_row_image', 'gtid_mode', 'log_bin_compress', 'binlog_transaction_compression', 'binlog_row_value_options',
		'log_slave_updates', 'log_replica_updates', 'gtid_slave_pos')`)
	if err != nil {
		return nil, fmt.Errorf("source %s: read the settings of the binlog: %w", s.name, err)
	}
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, fmt.Errorf("source %s: read the settings of the binlog: %w", s.name, err)
		}
		all[strings.ToLower(name)] = strings.ToUpper(value)
	}
	return all, rows.Err()
}

// settingsLack is pure.
func settingsLack(mariadb bool, have map[string]string) (lacks []Lack) {
	want := func(name, value, remedy string) {
		if got, ok := have[name]; ok && got != value {
			lacks = append(lacks, Lack{What: name + " is " + strings.TrimSpace(got), Remedy: remedy, Stops: true})
		}
	}
	want("log_bin", "ON", "start the server with log_bin")
	if len(lacks) > 0 {
		return lacks
	}
	want("binlog_format", "ROW", "SET GLOBAL binlog_format = ROW, and in the server's configuration")
	want("log_bin_compress", "OFF", "SET GLOBAL log_bin_compress = OFF")
	want("binlog_transaction_compression", "OFF", "SET GLOBAL binlog_transaction_compression = OFF")
	want("binlog_row_value_options", "", "SET GLOBAL binlog_row_value_options = ''")
	if !mariadb {
		want("gtid_mode", "ON", "turn gtid_mode on, as the manual of MySQL says")
	}
	for _, name := range []string{"log_replica_updates", "log_slave_updates"} {
		if replica := mariadb && have["gtid_slave_pos"] != ""; have[name] == "OFF" && (replica || !mariadb) {
			return append(lacks, Lack{What: name + " is OFF, so that a replica does not tell what it takes over", Stops: replica,
				Remedy: "start the server with " + name + ", or name the primary under sources"})
		}
	}
	return lacks
}

// following are the rights that let a user read the binlog, by the names that they have had.
var following = regexp.MustCompile(`(?i)^GRANT .*\b(REPLICATION SLAVE|REPLICATION REPLICA|ALL PRIVILEGES|SUPER)\b.* ON \*\.\* TO `)

// mayFollow goes by what is listed: that is the rights of roles too, but of those only that are in force.
func mayFollow(lines []string) bool { return slices.ContainsFunc(lines, following.MatchString) }

// imageLacks is pure: with a part of each row only in the log, rows are found by their primary key.
func imageLacks(image string, bound []*Bound) (lacks []Lack) {
	for _, b := range bound {
		if b.table == nil {
			lacks = append(lacks, Lack{What: fmt.Sprintf("binlog_row_image is %s, so that changes of the tables of dataset %s may not tell their shop", image, b.spec.Name),
				Remedy: "SET GLOBAL binlog_row_image = FULL, and in the server's configuration"})
			continue
		}
		primary := slices.IndexFunc(b.table.Indexes, func(x Index) bool { return x.Name == "PRIMARY" })
		for _, column := range b.Tells(b.table.Schema, b.table.Name) {
			if primary >= 0 && slices.ContainsFunc(b.table.Indexes[primary].Order, func(name string) bool { return strings.EqualFold(name, column) }) {
				continue
			}
			lacks = append(lacks, Lack{What: fmt.Sprintf("binlog_row_image is %s, and column %s, by which dataset %s finds changed rows, is not in the primary key", image, column, b.spec.Name),
				Remedy: "SET GLOBAL binlog_row_image = FULL, and in the server's configuration"})
			break
		}
	}
	return lacks
}
