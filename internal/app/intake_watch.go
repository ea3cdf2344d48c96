package app

import "github.com/prewarm-go/prewarm/internal/intake"

// intakeWatch looks after announcements while this pod leads.
func (a *App) intakeWatch() *intake.Watch {
	return &intake.Watch{Ledger: a.ledger, Config: a.cfg.Policy.IntakeWatch, Alerts: a.alerts, Metrics: intake.NewWatchMetrics(a.reg), Log: a.log}
}
