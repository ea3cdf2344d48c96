package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/prewarm-go/prewarm/internal/config"
)

// proxied takes the word of a proxy for who asks.
type proxied struct {
	config.Proxy
	nets []netip.Prefix
}

func newProxied(p *config.Proxy) *proxied {
	if p == nil {
		return nil
	}
	nets, _ := p.Nets() // checked with the configuration
	return &proxied{*p, nets}
}

// peer is the address that a connection comes from.
func peer(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

func (p *proxied) trusts(addr netip.Addr) bool {
	return p != nil && slices.ContainsFunc(p.nets, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// identify is who the proxy says asks. A header that is there twice may have been put in by the client: nobody is.
func (p *proxied) identify(r *http.Request) (identity, bool) {
	if !p.trusts(peer(r)) {
		return identity{}, false
	}
	user, role := r.Header.Values(p.UserHeader), r.Header.Values(p.RoleHeader)
	if len(user) != 1 || len(role) != 1 || strings.TrimSpace(user[0]) == "" {
		return identity{}, false
	}
	who := identity{strings.TrimSpace(user[0]), p.RoleOf(role[0])}
	return who, who.role != ""
}

// client is the address that a request comes from: the proxy's word for it if it is trusted, and only the last one,
// because those before it are the client's own.
func (p *proxied) client(r *http.Request) string {
	addr := peer(r)
	if p.trusts(addr) {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		if said, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1])); err == nil {
			return said.Unmap().String()
		}
	}
	return addr.String()
}
