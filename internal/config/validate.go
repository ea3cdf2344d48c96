package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prewarm-go/prewarm/internal/dataset"
)

// Roles of a token.
const (
	RoleViewer   = "viewer"   // reads
	RoleOperator = "operator" // reads and acts
	RoleChanges  = "changes"  // tells of changes, and nothing else
)

// longestName is characters of a name of MySQL, such as a resource group's.
const longestName = 64

// Validate says everything that is wrong with a filled configuration, as an *Error.
func (c Config) Validate() error {
	var p problems
	p.redis("queue", c.Queue)
	p.undescribed("queue", c.Queue)
	p.caches(c)
	p.dsn("ledger.dsn", c.Ledger.DSN, true)
	p.mysql("ledger", c.Ledger.DSN, c.Ledger.Password, c.Ledger.TLS)
	p.atLeast("ledger.pool", c.Ledger.Pool, 2) // one connection waits for the migration lock while another migrates
	p.sources(c)
	p.policy(c)
	p.width(c.Width)
	p.audit(c)
	p.http(c.HTTP)
	p.alerts(c.Alerts)
	p.feed(c)
	p.tracing(c.Tracing)
	p.datasets(c)
	p.placement(c)
	return p.err("")
}

func (p *problems) redis(field string, r Redis) {
	u, err := url.Parse(r.URL)
	switch {
	case r.URL == "":
		p.add(field+".url", "is missing", "write redis://host:6379/0, or set "+EnvPrefix+envName(field)+"_URL")
	case err != nil || u.Opaque != "":
		p.add(field+".url", "is not a URL", "write redis://host:6379/0; put a password with special characters into password or password_file")
	case u.Scheme == "unix" && u.Path == "":
		p.add(field+".url", "names no socket", "write unix:///path/to/redis.sock")
	case u.Scheme != "redis" && u.Scheme != "rediss" && u.Scheme != "unix":
		p.add(field+".url", "does not begin with redis://, rediss:// or unix://", "write redis://host:6379/0")
	case u.Scheme != "unix" && u.Host == "":
		p.add(field+".url", "names no host", "write redis://host:6379/0")
	case u.Scheme != "unix" && r.Cluster && strings.Trim(u.Path, "/0") != "":
		p.add(field+".url", "names a database, and a Redis Cluster has only 0", "leave the number out")
	}
	if r.TLS != nil && err == nil && u.Scheme == "redis" {
		p.add(field+".tls", "is set, and the URL asks for a connection without TLS", "write rediss:// in "+field+".url")
	}
	if len(r.Addrs) > 0 && !r.Cluster {
		p.add(field+".addrs", "is for Redis Cluster only", "set "+field+".cluster: true, or remove it")
	}
	for i, a := range r.Addrs {
		p.address(fmt.Sprintf("%s.addrs[%d]", field, i), a)
	}
	p.certificates(field+".tls", r.TLS)
}

// noEviction refuses an acceptance that is the queue's only.
func (p *problems) noEviction(field string, r Redis) {
	if r.AllowEviction {
		p.add(field+".allow_eviction", "is for the queue only", "remove it: what is written here may be evicted, and prewarm loads it again")
	}
}

// dsn checks no more than what the driver could not tell without showing the password.
func (p *problems) dsn(field, dsn string, schema bool) {
	slash := strings.LastIndexByte(dsn, '/')
	name, _, _ := strings.Cut(dsn[slash+1:], "?")
	switch {
	case dsn == "":
		p.add(field, "is missing", "write user:password@tcp(host:3306)/schema, or set "+EnvPrefix+envName(field))
	case slash < 0:
		p.add(field, "has no / before the schema", "write user:password@tcp(host:3306)/schema")
	case schema && name == "":
		p.add(field, "names no schema", "end it with the schema that prewarm owns, such as /prewarm")
	}
}

func (p *problems) sources(c Config) {
	if len(c.Sources) == 0 {
		p.add("sources", "is missing", "name at least one database to read from: sources: {main: {dsn: …}}")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s, field := c.Sources[name], "sources."+name
		p.dsn(field+".dsn", s.DSN, false)
		p.mysql(field, s.DSN, s.Password, s.TLS)
		p.readFrom(field, s)
		p.atLeast(field+".pool", s.Pool, 2)
		if n := utf8.RuneCountInString(s.ResourceGroup); n > longestName {
			p.add(field+".resource_group", fmt.Sprintf("has %d characters", n), fmt.Sprintf("names of MySQL have at most %d", longestName))
		}
		if strings.ContainsAny(s.ResourceGroup, "*?") { // */ ends a hint, and ? stands for an argument
			p.add(field+".resource_group", fmt.Sprintf("%q holds * or ?", s.ResourceGroup), "give the group a name without")
		}
		p.duration(field+".statement_time", s.StatementTime, shortest, false)
		if s.StatementTime >= c.Policy.Lease {
			p.add(field+".statement_time", "is not shorter than policy.lease, so one slow statement loses the shop",
				"keep it well below "+c.Policy.Lease.String())
		}
	}
}

func (p *problems) width(w Width) {
	p.atLeast("width.min", w.Min, 1)
	p.atLeast("width.max_per_pod", w.MaxPerPod, 1)
	if w.Max < w.Min {
		p.add("width.max", fmt.Sprintf("is %d, below width.min (%d)", w.Max, w.Min), "raise it, or lower width.min")
	}
	if w.MaxPerPod > maxSlots {
		p.add("width.max_per_pod", fmt.Sprintf("is above %d", maxSlots), "add pods instead")
	}
}

func (p *problems) datasets(c Config) {
	if len(c.Datasets) == 0 {
		p.add("datasets", "is missing", "declare what is warmed")
	}
	seen := map[string]bool{}
	for i, d := range c.Datasets {
		field := fmt.Sprintf("datasets[%d]", i)
		if d.Name != "" {
			field += " (" + d.Name + ")"
		}
		p.spec(field, d.Validate())
		if seen[d.Name] && d.Name != "" {
			p.add(field+".name", "is used twice", "rename one")
		}
		seen[d.Name] = true
		if _, err := c.SourceOf(d); err != nil {
			p.add(field+".source", err.Error(), "")
		}
	}
}

// spec takes apart what a dataset says about itself.
func (p *problems) spec(field string, err error) {
	var one *dataset.SpecError
	switch many, joined := err.(interface{ Unwrap() []error }); {
	case err == nil:
	case joined:
		for _, e := range many.Unwrap() {
			p.spec(field, e)
		}
	case errors.As(err, &one):
		p.add(field+"."+one.Field, one.Problem, one.Remedy)
	default:
		p.add(field, err.Error(), "")
	}
}

func (p *problems) certificates(field string, t *TLS) {
	if t != nil && (t.CertFile == "") != (t.KeyFile == "") {
		p.add(field, "has one of cert_file and key_file", "give both, or neither")
	}
}

func (p *problems) atLeast(field string, have, least int) {
	if have < least {
		p.add(field, fmt.Sprintf("is %d", have), fmt.Sprintf("must be %d or more", least))
	}
}

func (p *problems) address(field, addr string) {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		p.add(field, "is not host:port", "write 127.0.0.1:8080, say")
	}
}
