package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

func (p *problems) http(h HTTP) {
	p.address("http.listen", h.Listen)
	if len(h.Tokens) == 0 && h.Proxy == nil && !Loopback(h.Listen) {
		p.add("http.listen", "is open to other machines, and there is no token to keep strangers out",
			"listen on 127.0.0.1:8080, or configure http.tokens or http.proxy")
	}
	names, secrets := map[string]bool{}, map[string]bool{}
	for i, t := range h.Tokens {
		field := fmt.Sprintf("http.tokens[%d]", i)
		p.token(field, t)
		if names[t.Name] && t.Name != "" {
			p.add(field+".name", "is used twice, so that it would not be known who did what", "rename one")
		}
		if secrets[t.Token] && t.Token != "" {
			p.add(field+".token", "is the same as another's", "give each its own")
		}
		names[t.Name], secrets[t.Token] = true, true
	}
	p.proxy(h.Proxy)
	p.certificates("http.tls", h.TLS)
	if h.TLS != nil && h.TLS.CertFile == "" {
		p.add("http.tls.cert_file", "is missing", "give the server's cert_file and key_file")
	}
	if h.TLS != nil && h.TLS.ServerName != "" {
		p.add("http.tls.server_name", "is for connections to a server, and this is one", "remove it: the name stands in the certificate")
	}
	p.webURL("http.public_url", h.Public)
}

func (p *problems) token(field string, t Token) {
	if t.Name == "" {
		p.add(field+".name", "is missing", "name who uses it; the name is recorded with what is done")
	}
	if t.Role != RoleViewer && t.Role != RoleOperator && t.Role != RoleChanges {
		p.add(field+".role", "is not a role", "write viewer, operator or changes")
	}
	if t.Token == "" {
		p.add(field+".token", "is missing", "give token or token_file")
	}
	if strings.ContainsFunc(t.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		p.add(field+".token", "has characters that an HTTP header cannot carry", "use letters, digits and punctuation without spaces")
	}
}

// Loopback says whether an address host:port can be reached from this machine only.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
