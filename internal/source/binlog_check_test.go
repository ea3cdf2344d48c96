package source

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

func TestWhatABinlogLacks(t *testing.T) {
	t.Parallel()
	good := map[string]string{"log_bin": "ON", "binlog_format": "ROW", "gtid_mode": "ON", "binlog_transaction_compression": "OFF", "binlog_row_value_options": ""}
	require.Empty(t, settingsLack(false, good))
	require.Empty(t, settingsLack(true, map[string]string{"log_bin": "ON", "binlog_format": "ROW", "log_bin_compress": "OFF"}))
	for name, bad := range map[string]string{"log_bin": "OFF", "binlog_format": "MIXED", "gtid_mode": "OFF_PERMISSIVE", "binlog_transaction_compression": "ON", "binlog_row_value_options": "PARTIAL_JSON"} {
		settings := map[string]string{}
		for k, v := range good {
			settings[k] = v
		}
		settings[name] = bad
		lacks := settingsLack(false, settings)
		require.Len(t, lacks, 1, name)
		require.True(t, lacks[0].Stops)
		require.Contains(t, lacks[0].What, name+" is "+bad)
	}
	replica := map[string]string{"log_bin": "ON", "log_slave_updates": "OFF"}
	require.Empty(t, settingsLack(true, replica), "it is none")
	replica["gtid_slave_pos"] = "0-1-5"
	require.True(t, settingsLack(true, replica)[0].Stops)
	require.False(t, settingsLack(false, map[string]string{"log_bin": "ON", "log_replica_updates": "OFF"})[0].Stops, "it may be none")
	require.Len(t, settingsLack(false, map[string]string{"log_bin": "OFF", "gtid_mode": "OFF"}), 1, "first things first")
}

func TestWhoMayReadABinlog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		may   bool
		lines []string
	}{
		{false, []string{"GRANT USAGE ON *.* TO `r`@`%`", "GRANT SELECT ON `shop`.* TO `r`@`%`"}},
		{false, []string{"GRANT USAGE ON *.* TO `r`@`%`", "GRANT ALL PRIVILEGES ON `shop`.* TO `r`@`%`"}},
		{true, []string{"GRANT REPLICATION SLAVE ON *.* TO `r`@`%`", "GRANT SELECT ON `shop`.* TO `r`@`%`"}},
		{true, []string{"GRANT SELECT, REPLICATION SLAVE, RELOAD ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*0'"}},
		{true, []string{"GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION"}},
		{false, []string{"GRANT `role` TO `r`@`%`", "GRANT USAGE ON *.* TO `r`@`%`"}},
		{true, []string{"GRANT `role` TO `r`@`%`", "GRANT USAGE ON *.* TO `r`@`%`", "GRANT REPLICATION SLAVE ON *.* TO `role`", "SET DEFAULT ROLE `role` FOR `r`@`%`"}},
	} {
		require.Equal(t, c.may, mayFollow(c.lines), "%v", c.lines)
	}
}

func TestAPartOfARowIsEnoughIfItIsThePrimaryKey(t *testing.T) {
	t.Parallel()
	e := newEnv(t, `CREATE TABLE whole (shop INT NOT NULL, id BIGINT NOT NULL, PRIMARY KEY (shop, id))`, `CREATE TABLE part (id BIGINT PRIMARY KEY, shop INT NOT NULL, KEY (shop, id))`)
	var bound []*Bound
	for _, table := range []string{"whole", "part"} {
		b, err := e.Bind(t.Context(), dataset.Spec{Name: table, Table: table, Shop: "shop", By: []string{"id"}, Columns: []string{"id"}, Key: table + ":{shop}:{id}", Value: "json"})
		require.NoError(t, err)
		bound = append(bound, b)
	}
	lacks := imageLacks("MINIMAL", bound)
	require.Len(t, lacks, 1)
	require.Contains(t, lacks[0].What, "column shop, by which dataset part finds")
	require.False(t, lacks[0].Stops)
}

func TestNamesInAnEnum(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"a", "it's", "", "x,y)"}, members(`enum('a','it''s','','x,y)')`))
	require.Empty(t, members("int(11)"))
}

func TestAPlaceInTheBinlogIsReached(t *testing.T) {
	t.Parallel()
	require.True(t, reached("log.000001", 7, "log.000001", 7))
	require.False(t, reached("log.000001", 6, "log.000001", 7))
	require.True(t, reached("log.000002", 4, "log.000001", 7))
	require.False(t, reached("log.000001", 99, "log.000002", 7))
	require.True(t, reached("log.1000000", 4, "log.999999", 7))
	require.False(t, reached("", 0, "log.000001", 7), "a server that does not say")
}
