package source

// Part is what is kept of a shop's rows: (From, To] in the order of `by`, as of a Range.
type Part struct{ From, To string }

// Only is a dataset that is kept in parts: of the rows that are looked up one by one (Bound.ReadRows) it has those of any of them.
// None: it is kept whole.
func Only[D any](d D, parts []Part) D {
	b, ok := any(d).(*Bound)
	if !ok || len(parts) == 0 {
		return d
	}
	kept := *b
	kept.parts = parts
	return any(&kept).(D) // as b is
}

// spans are the parts as arguments.
func (b *Bound) spans() (all []Span, err error) {
	for _, p := range b.parts {
		var s Span
		if s.After, err = b.args(p.From); err != nil {
			return nil, err
		}
		if s.To, err = b.args(p.To); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}
