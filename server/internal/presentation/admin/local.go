package admin

import (
	"fmt"
	"net"
	"net/http"
	"strings"
)

// Local answers only who asks for this machine by its address, as localhost or by a
// name without a dot. It is for a port that listens on loopback, where the browser
// of whoever works here can be led by a page of any site, if that
// makes its own name mean this machine (DNS rebinding).
func Local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := hostname(r.Host); !isLocal(name) {
			http.Error(w, fmt.Sprintf("this port is for this machine, not for %q: ask for http://localhost, or set ADMIN_ADDR to an address that others reach", name),
				http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostname is what a Host header says, without the port.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

func isLocal(name string) bool {
	return net.ParseIP(name) != nil || !strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost")
}
