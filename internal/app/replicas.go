package app

import (
	"database/sql"
	"fmt"

	"github.com/go-sql-driver/mysql"

	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/mysqlconn"
)

// openReplicas prepares to ask a source's replicas for their lag, with the source's certificates. One that cannot be reached is
// found when it is first asked.
func (a *App) openReplicas(name string, cfg config.Source) error {
	for i, text := range cfg.Replicas {
		field := fmt.Sprintf("sources.%s.replicas[%d]", name, i)
		dsn, err := mysql.ParseDSN(text)
		if err != nil { // the driver's words may quote the password
			return fmt.Errorf("%s is not of the form user:password@tcp(host:port)/", field)
		}
		if err := mysqlconn.Secure("sources."+name, dsn, cfg.TLS); err != nil {
			return err
		}
		connector, err := mysql.NewConnector(dsn)
		if err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		db := sql.OpenDB(connector)
		db.SetMaxOpenConns(1)
		a.onClose(db.Close)
		if a.replicas == nil {
			a.replicas = map[string]*sql.DB{}
		}
		a.replicas[fmt.Sprintf("%s/%d", name, i+1)] = db
	}
	return nil
}
