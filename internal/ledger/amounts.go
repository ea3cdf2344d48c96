package ledger

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Amounts are numbers by datasets, as `products=100 users=5000`: in the order of the names; "": none.
type Amounts string

// AmountsOf are those of a map.
func AmountsOf(of map[string]int64) Amounts {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s=%d", name, of[name]))
	}
	return Amounts(strings.Join(all, " "))
}

// Map is what AmountsOf was made of; nil: none.
func (a Amounts) Map() map[string]int64 {
	var of map[string]int64
	for _, text := range strings.Fields(string(a)) {
		name, number, _ := strings.Cut(text, "=")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			if of == nil {
				of = map[string]int64{}
			}
			of[name] = n
		}
	}
	return of
}

// Names are the datasets that have one, in order.
func (a Amounts) Names() []string { return slices.Sorted(maps.Keys(a.Map())) }

// Of is the number of a dataset; 0: it has none.
func (a Amounts) Of(dataset string) int64 { return a.Map()[dataset] }
