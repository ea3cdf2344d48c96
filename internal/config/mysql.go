package config

import (
	"net/url"
	"strings"
)

// mysql checks what is said of a database beside its DSN. Fill has put the password into a DSN without one.
func (p *problems) mysql(field, dsn, password string, t *TLS) {
	d, ok := SplitDSN(dsn)
	if !ok {
		return
	}
	switch {
	case password != "" && d.User == "":
		p.add(field+".password", "is set, and "+field+".dsn names no user", "write user@tcp(host:3306)/schema there")
	case password != "" && d.Password != password:
		p.add(field+".password", "is given twice, here and in "+field+".dsn", "keep one of the two")
	}
	if t == nil {
		return
	}
	params, _ := url.ParseQuery(d.Params)
	switch {
	case params.Has("tls"):
		p.add(field+".tls", "is set, and so is tls in "+field+".dsn", "leave it out there")
	case strings.HasPrefix(d.Server, "unix("):
		p.add(field+".tls", "is set, and "+field+".dsn names a socket", "write tcp(host:3306) there, or remove it")
	}
	p.certificates(field+".tls", t)
}
