package ledger_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestTransactionsAreIsolatedWhateverTheServerSays(t *testing.T) {
	t.Parallel()
	dsn := testenv.MySQL(t)
	isolation := func(dsn string) (name, value string) {
		s, err := ledger.Open(t.Context(), config.Ledger{DSN: dsn, Pool: 2})
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		require.NoError(t, s.DB().QueryRowContext(t.Context(), `SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')`).Scan(&name, &value))
		return name, value
	}
	name, _ := isolation(dsn) // MySQL and MariaDB have different ones
	with := "?"
	if strings.Contains(dsn, "?") {
		with = "&"
	}
	_, value := isolation(dsn + with + name + "=%27READ-COMMITTED%27")
	require.Equal(t, "REPEATABLE-READ", value)
}
