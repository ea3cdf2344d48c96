package config

import "fmt"

// Where the pages of a source's units are read.
const (
	ReadPrimary = "primary" // at the DSN
	ReadReplica = "replica" // at a replica that has what the DSN's server has; at that if there is none
)

func (p *problems) readFrom(field string, s Source) {
	switch {
	case s.ReadFrom != ReadPrimary && s.ReadFrom != ReadReplica:
		p.add(field+".read_from", fmt.Sprintf("%q is neither primary nor replica", s.ReadFrom), "write replica, or leave it out")
	case s.ReadFrom == ReadReplica && len(s.Replicas) == 0:
		p.add(field+".read_from", "is replica, and "+field+".replicas names none", "write the replicas' DSNs there")
	case s.ReadFrom == ReadReplica:
		of, _ := SplitDSN(s.DSN)
		for i, dsn := range s.Replicas {
			p.dsn(fmt.Sprintf("%s.replicas[%d]", field, i), dsn, of.Schema != "")
		}
	}
}
