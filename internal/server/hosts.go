package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// hosts decides under which names this server answers. A page of evil.example
// whose name suddenly resolves to 127.0.0.1 still says "Host: evil.example", and
// that is where it is stopped.
type hosts struct {
	listed map[string]bool // lower case, without port
	suffix []string        // ".example.com" for a listed "*.example.com"
	any    bool            // "*" is listed
	// beyond: the server listens beyond loopback. Then addresses are allowed too:
	// rebinding needs a name, and no list could know under which of the machine's
	// addresses it is reached.
	beyond bool
}

func newHosts(listed []string, beyond bool) hosts {
	h := hosts{listed: make(map[string]bool), beyond: beyond}
	for _, name := range listed {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case name == "":
		case name == "*":
			h.any = true
		case strings.HasPrefix(name, "*."):
			h.suffix = append(h.suffix, name[1:])
		default:
			h.listed[hostname(name)] = true
		}
	}
	return h
}

// allow reports whether host, as in a Host header, is one of this server's names.
func (h *hosts) allow(host string) bool {
	switch {
	case h.any:
		return true
	case strings.HasPrefix(host, "127.0.0.1:") || strings.HasPrefix(host, "localhost:"):
		return true // what clients nearly always say: no copy, no parsing
	}
	name := hostname(strings.ToLower(host))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || h.listed[name] {
		return true
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.IsLoopback() || h.beyond
	}
	for _, suffix := range h.suffix {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// hostname takes the port, the brackets of IPv6 and a final dot off.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.TrimSuffix(host, ".")
}

// refusal says why a request may not come in.
type refusal struct {
	reason string // label of millstream_requests_refused_total
	text   string
}

// refuse returns why the request may not come in, nil when it may.
func (h *hosts) refuse(r *http.Request) *refusal {
	if !h.allow(r.Host) {
		return &refusal{"host", fmt.Sprintf("Millstream does not answer to the host name %q: it might be a web page's. "+
			"Use a loopback name, or start the server with --allowed-host %s.", r.Host, hostname(r.Host))}
	}
	if origin := r.Header.Get("Origin"); origin != "" && !sameOrigin(origin, r) {
		return &refusal{"origin", fmt.Sprintf("Millstream takes no requests from web pages (Origin: %s): "+
			"functions are programs on this machine. Call it from a program.", origin)}
	}
	// Following a link to here is all that other pages may do.
	if r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Mode") != "navigate" {
		return refuseSites(r)
	}
	return nil
}

// refuseSites refuses what another site's page has a browser do. A browser tells of that even where it sends no Origin: with an
// image, a script, a link. The doors that are found by a signature take no links either: an address can carry a signature, and
// here every signature is good.
func refuseSites(r *http.Request) *refusal {
	if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" || site == "same-site" {
		return &refusal{"origin", "Millstream takes no requests from other web pages (Sec-Fetch-Site: " + site + ")."}
	}
	return nil
}

// sameOrigin reports whether origin is this server under the name it was called
// by, which the check of the Host has found to be its own.
func sameOrigin(origin string, r *http.Request) bool {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return strings.EqualFold(origin, scheme+r.Host)
}

// local reports whether only this machine reaches an address.
func local(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// checkListener refuses to listen where other machines reach the server, unless
// that was asked for.
func checkListener(addr net.Addr, beyond bool) error {
	if beyond || local(addr) {
		return nil
	}
	return fmt.Errorf("%s can be reached from other machines, and whoever reaches it can read the data and run programs here, "+
		"since signatures are not verified: listen on 127.0.0.1, or allow it with --insecure-listen if the network is yours alone", addr)
}
