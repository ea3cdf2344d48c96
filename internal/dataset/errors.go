package dataset

import (
	"errors"
	"fmt"
)

// ErrManyRows: a `json` value whose key contains no column of the row, and more than one row. Nothing is written, since
// each row would overwrite the one before. A retry does not help.
var ErrManyRows = errors.New("several rows have the same key; add a column to the key, use value json_array or hash, " +
	"or make the query return one row")

// SpecError is one thing that is wrong with a dataset's declaration. Retrying does not help.
type SpecError struct {
	Dataset string
	Field   string // as in prewarm.yaml
	Problem string
	Remedy  string
}

func (e *SpecError) Error() string {
	text := fmt.Sprintf("dataset %s: %s: %s", e.Dataset, e.Field, e.Problem)
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// Definitive says that a retry does not help.
func (e *SpecError) Definitive() bool { return true }

// Err is what is wrong with one field of the declaration.
func (s Spec) Err(field, remedy, format string, args ...any) *SpecError {
	name := s.Name
	if name == "" {
		name = "(without name)"
	}
	return &SpecError{Dataset: name, Field: field, Problem: fmt.Sprintf(format, args...), Remedy: remedy}
}

// RowError is a row that cannot be encoded. The row is a reject; the rows beside it are not affected.
type RowError struct {
	Column string
	Reason string
}

func (e *RowError) Error() string { return fmt.Sprintf("column %s: %s", e.Column, e.Reason) }
