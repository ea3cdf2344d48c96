package source

import "fmt"

// Part is what is kept of a shop's rows: (From, To] in the order of `by`, as of a Range, and of those the rows whose Column is at least
// Since, if that is given.
type Part struct{ From, To, Column, Since string }

// Only is a dataset of which only the rows of any of these parts are read. None: it is kept whole. What is not a *Bound cannot be
// read in parts, and is an error.
func Only[D any](d D, parts []Part) (D, error) {
	if len(parts) == 0 {
		return d, nil
	}
	b, ok := any(d).(*Bound)
	if !ok {
		return d, fmt.Errorf("a %T cannot be read in parts", d)
	}
	kept := *b
	kept.parts = parts
	d, _ = any(&kept).(D) // as b is
	return d, nil
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
		if p.Since != "" {
			var ok bool
			if s.Column, ok = b.table.column(p.Column); !ok {
				return nil, fmt.Errorf("dataset %s: table %s has no column %s any more, by which the window of a run was planned", b.spec.Name, b.spec.Table, p.Column)
			}
			if s.Since, err = bind(s.Column, p.Since); err != nil {
				return nil, b.errorf("bind the window", err)
			}
		}
		all = append(all, s)
	}
	return all, nil
}
