package load

import (
	"errors"
	"fmt"

	"github.com/prewarm-go/prewarm/internal/cache"
	"github.com/prewarm-go/prewarm/internal/dataset"
	"github.com/prewarm-go/prewarm/internal/ledger"
	"github.com/prewarm-go/prewarm/internal/source"
)

// tooManyRejects: more rows than policy.max_rejects could not be encoded.
type tooManyRejects struct {
	dataset string
	limit   int
	first   ledger.Reject
}

func (e *tooManyRejects) Error() string {
	return fmt.Sprintf("dataset %s: more than policy.max_rejects (%d) rows could not be encoded, such as %s: %s; mend the rows or the dataset, then `prewarm retry`",
		e.dataset, e.limit, e.first.RowKey, e.first.Error)
}

// tooBig: a dataset in query form is not small.
type tooBig struct{ dataset, shop string }

func (e *tooBig) Error() string {
	return fmt.Sprintf("dataset %s of shop %s is larger than %d MiB, too large to be read in one go; declare it in the table form", e.dataset, e.shop, maxWhole>>20)
}

// Definitive says that the same will happen again however often it is tried: a person must mend something first.
func Definitive(err error) bool {
	var rejects *tooManyRejects
	var big *tooBig
	var spec *dataset.SpecError
	return errors.As(err, &rejects) || errors.As(err, &big) || errors.As(err, &spec) || errors.Is(err, dataset.ErrManyRows) ||
		source.Definitive(err) || cache.Definitive(err)
}

// Unavailable says that a server could not be reached or could not serve: the work is repeated when it is back, without
// counting an attempt.
func Unavailable(err error) bool {
	return errors.Is(err, errSilent) || source.Unavailable(err) || cache.Unavailable(err)
}
