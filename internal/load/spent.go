package load

import "time"

// Spent is how an attempt at a unit spent its time. Read, Write and Held add up to all of it but moments.
type Spent struct {
	Read  time.Duration // waiting for pages to be read
	Write time.Duration // writing pages and recording them
	Held  time.Duration // waiting for leave to begin a page
	DB    time.Duration // of the statements that read; with pages that are read ahead, part of it is behind Write
	Rows  int64
	Bytes int64
}

// lap accounts for the time since the last lap.
func (t *task) lap(into *time.Duration) {
	now := time.Now()
	*into += now.Sub(t.mark)
	t.mark = now
}

// account hands over how the time was spent.
func (t *task) account(j Job) {
	if j.Spent == nil {
		return
	}
	t.spent.Rows, t.spent.Bytes = t.Unit.RowsDone-j.Unit.RowsDone, t.bytes
	*j.Spent = t.spent
}
