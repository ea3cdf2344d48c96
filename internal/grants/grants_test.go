package grants_test

import (
	"database/sql"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/prewarm-go/prewarm/internal/grants"
	"github.com/prewarm-go/prewarm/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestBeyondWhatIsNeeded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"GRANT USAGE ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29'": nil,
		"GRANT SELECT ON `shop`.* TO `r`@`%`":                                 nil,
		"GRANT SELECT (`a`, `b`) ON `shop`.`users` TO `r`@`%`":                nil,
		"GRANT SELECT, REPLICATION CLIENT ON *.* TO `r`@`%`":                  {"SELECT on *.*"},
		"GRANT SELECT, INSERT (`a`) ON `odd ``name`.`t o` TO `r`@`%`":         {"INSERT on `odd ``name`.`t o`"},
		"GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION": {"ALL PRIVILEGES on *.*", "GRANT OPTION on *.*"},
		"GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `r`@`%`":                    {"EXECUTE on `shop`.`p`"},
		"GRANT CREATE TEMPORARY TABLES, LOCK TABLES ON `shop`.* TO 'r'@'%'":   {"CREATE TEMPORARY TABLES on `shop`.*", "LOCK TABLES on `shop`.*"},
		"GRANT `some_role` TO `r`@`%`":                                        nil,
		"GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION":       {"PROXY on ''@'%'", "GRANT OPTION on ''@'%'"},
		"GRANT PROXY ON ``@`` TO `root`@`localhost`":                          {"PROXY on ``@``"},
		"GRANT BACKUP_ADMIN,RESOURCE_GROUP_USER ON *.* TO `r`@`%`":            {"BACKUP_ADMIN on *.*"},
	} {
		require.Equal(t, want, grants.Reader.Beyond([]string{text}), text)
	}
}

func TestAServersOwnWordsAreUnderstood(t *testing.T) {
	t.Parallel()
	server := testenv.GrantsMySQL(t)
	read := func(dsn string, statements ...string) []string {
		db, err := sql.Open("mysql", dsn)
		require.NoError(t, err)
		defer func() { require.NoError(t, db.Close()) }()
		for _, s := range statements {
			_, err := db.ExecContext(t.Context(), s)
			require.NoError(t, err, s)
		}
		lines, err := grants.Read(t.Context(), db)
		require.NoError(t, err)
		return lines
	}
	root := read(server.DSN, "CREATE USER l IDENTIFIED BY 'p'", "GRANT "+strings.Join(grants.Ledger.Rights, ", ")+" ON test.* TO l")
	require.NotEmpty(t, grants.Ledger.Beyond(root))
	as := strings.Replace(server.DSN, "root@", "l:p@", 1)
	require.Empty(t, grants.Ledger.Beyond(read(as)))
	require.Contains(t, grants.Reader.Beyond(read(as)), "DELETE on `test`.*")

	// What a role has is among them when it is in force.
	read(server.DSN, "CREATE ROLE writes", "GRANT INSERT ON test.* TO writes", "CREATE USER w IDENTIFIED BY 'p'", "GRANT SELECT ON test.* TO w", "GRANT writes TO w")
	as = strings.Replace(server.DSN, "root@", "w:p@", 1)
	require.Empty(t, grants.Reader.Beyond(read(as)))
	require.Equal(t, []string{"INSERT on `test`.*"}, grants.Reader.Beyond(read(as, "SET ROLE writes")))
	to := "TO"
	if server.MariaDB() {
		to = "FOR"
	}
	read(server.DSN, "SET DEFAULT ROLE writes "+to+" w")
	require.Equal(t, []string{"INSERT on `test`.*"}, grants.Reader.Beyond(read(as)))
}

func FuzzBeyond(f *testing.F) {
	f.Add("GRANT SELECT ON `a`.* TO `b`@`c`")
	f.Add("GRANT ALL ON ")
	f.Fuzz(func(t *testing.T, text string) {
		for _, b := range grants.Ledger.Beyond([]string{text}) {
			require.Contains(t, b, " on ")
		}
	})
}
