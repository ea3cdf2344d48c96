package config

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxy is what stands before prewarm and has found out who asks. Its word is taken from the trusted addresses only.
type Proxy struct {
	Trusted    []string `yaml:"trusted"`             // the proxy's addresses: 10.1.2.3 or 10.1.0.0/16
	UserHeader string   `yaml:"user_header"`         // holds who asks, such as X-Forwarded-User
	RoleHeader string   `yaml:"role_header"`         // holds their role or groups, with commas
	Operators  []string `yaml:"operators,omitempty"` // values of role_header that make an operator; default: operator
	Viewers    []string `yaml:"viewers,omitempty"`   // values of role_header that make a viewer; default: viewer
}

// Nets are the trusted addresses.
func (p Proxy) Nets() (nets []netip.Prefix, wrong string) {
	for _, text := range p.Trusted {
		net, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); err != nil && addrErr == nil {
			net, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, text
		}
		nets = append(nets, net.Masked())
	}
	return nets, ""
}

// RoleOf is the role that a value of the role header gives; empty: none.
func (p Proxy) RoleOf(header string) string {
	role := ""
	for value := range strings.SplitSeq(header, ",") {
		switch value = strings.TrimSpace(value); {
		case value == "":
		case slices.Contains(p.Operators, value) || len(p.Operators) == 0 && value == RoleOperator:
			return RoleOperator
		case slices.Contains(p.Viewers, value) || len(p.Viewers) == 0 && value == RoleViewer:
			role = RoleViewer
		}
	}
	return role
}

func (p *problems) proxy(x *Proxy) {
	if x == nil {
		return
	}
	if len(x.Trusted) == 0 {
		p.add("http.proxy.trusted", "is missing", "name the proxy's addresses, such as 10.1.2.3 or 10.1.0.0/16")
	}
	nets, wrong := x.Nets()
	if wrong != "" {
		p.add("http.proxy.trusted", fmt.Sprintf("%q is not an address or a network", wrong), "write 10.1.2.3 or 10.1.0.0/16")
	}
	if slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Bits() == 0 }) {
		p.add("http.proxy.trusted", "is everybody", "name the proxy's addresses: whoever is trusted can be anybody")
	}
	for field, name := range map[string]string{"user_header": x.UserHeader, "role_header": x.RoleHeader} {
		if name == "" || http.CanonicalHeaderKey(name) == "Authorization" || http.CanonicalHeaderKey(name) == "Cookie" || strings.ContainsAny(name, " :\r\n") {
			p.add("http.proxy."+field, "is not the name of a header that the proxy sets", "write X-Forwarded-User or X-Forwarded-Groups, say")
		}
	}
}
