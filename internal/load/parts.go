package load

import (
	"encoding/json"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
)

// Kept is a part of the ledger as the source reads it.
func Kept(p ledger.Part) source.Part {
	return source.Part{From: p.From, To: p.To, Column: p.Column, Since: p.Since.Value}
}

// Recent are the rows that are not too old for a run that keeps a part of a dataset: a unit has its own range of them.
func Recent(p ledger.Part) []source.Part {
	if p.Since == (ledger.Since{}) {
		return nil
	}
	return []source.Part{Kept(ledger.Part{Since: p.Since})}
}

// told is a part as the ready flag tells it.
func told(p ledger.Part) cache.Part {
	return cache.Part{After: json.RawMessage(p.From), UpTo: json.RawMessage(p.To), Column: p.Column, Since: p.Since.Value}
}
