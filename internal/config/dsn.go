package config

import "strings"

// DSN is a go-sql-driver DSN in the parts that prewarm writes files with; the driver reads it.
type DSN struct {
	User, Password string
	Server         string // tcp(host:3306), as in the DSN
	Schema         string
	Params         string // without the question mark
}

// SplitDSN takes a DSN apart as the driver does: the password may hold "/", "@" and ":".
func SplitDSN(dsn string) (d DSN, ok bool) {
	slash := strings.LastIndexByte(dsn, '/')
	if slash < 0 {
		return DSN{}, false
	}
	d.Schema, d.Params, _ = strings.Cut(dsn[slash+1:], "?")
	d.Server = dsn[:slash]
	if at := strings.LastIndexByte(d.Server, '@'); at >= 0 {
		d.User, d.Password, _ = strings.Cut(d.Server[:at], ":")
		d.Server = d.Server[at+1:]
	}
	return d, true
}

// withPassword is a DSN with a password for its user, unless it has one.
func withPassword(dsn, password string) string {
	d, ok := SplitDSN(dsn)
	if !ok || password == "" || d.User == "" || d.Password != "" {
		return dsn
	}
	d.Password = password
	return d.String()
}

// String is the DSN.
func (d DSN) String() string {
	text := d.User
	if d.Password != "" {
		text += ":" + d.Password
	}
	if text != "" {
		text += "@"
	}
	text += d.Server + "/" + d.Schema
	if d.Params != "" {
		text += "?" + d.Params
	}
	return text
}
