package source

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// TestASessionThatTheServerHasEndedIsNobodysFault ends one as a pod's that was frozen for long.
func TestASessionThatTheServerHasEndedIsNobodysFault(t *testing.T) {
	t.Parallel()
	require.True(t, Unavailable(&mysql.MySQLError{Number: 4031}), "MySQL says so before it ends one")
	e := newEnv(t)
	for _, statement := range []string{"SET SESSION wait_timeout = 1", "KILL CONNECTION_ID()"} {
		session, err := e.db.Conn(t.Context())
		require.NoError(t, err)
		var id int
		require.NoError(t, session.QueryRowContext(t.Context(), "SELECT CONNECTION_ID()").Scan(&id))
		if _, err = session.ExecContext(t.Context(), statement); strings.HasPrefix(statement, "SET") {
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool {
			var n int // MySQL's list fails while a statement of another test holds bytes that are no text
			err := e.write.QueryRowContext(t.Context(), fmt.Sprintf("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %d", id)).Scan(&n)
			return err == nil && n == 0
		}, 20*time.Second, 10*time.Millisecond)
		_, err = session.ExecContext(t.Context(), "DO 1")
		require.Error(t, err, statement)
		require.True(t, Unavailable(err), "%s: %v", statement, err)
		_ = session.Close()
	}
}
