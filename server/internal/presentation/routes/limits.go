package routes

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// RateLimit bounds the requests of each client.
type RateLimit struct {
	// Take counts a request. It tells how many more are within the limit, when the
	// client's next window begins, and whether this one is let in.
	Take    func(client netip.Addr) (left int, next time.Duration, ok bool)
	Quota   int
	Window  time.Duration
	Proxies []netip.Prefix // whose X-Forwarded-For is believed
}

// What clients are told of the limit, as draft-ietf-httpapi-ratelimit-headers-10 has it.
const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
	policyName            = `"default"`
)

// limited lets as many requests of a client through as the limit allows.
func limited(limit *RateLimit) fiber.Handler {
	policy := fmt.Sprintf("%s;q=%d;w=%d", policyName, limit.Quota, seconds(limit.Window))
	return func(c fiber.Ctx) error {
		left, next, ok := limit.Take(clientOf(c, limit.Proxies))
		wait := seconds(next)
		c.Set(headerRateLimitPolicy, policy)
		c.Set(headerRateLimit, fmt.Sprintf("%s;r=%d;t=%d", policyName, left, wait))
		if !ok {
			c.Set(fiber.HeaderRetryAfter, strconv.Itoa(wait))
			return problems.TooManyRequests.Because("this client has made all the requests that it may make for now")
		}
		return c.Next()
	}
}

// seconds rounds up: who waits for so long has waited long enough.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// clientOf is the address that a request came from, as far as those are believed who
// passed it on: each of them adds to X-Forwarded-For whom it had it from, and the
// last that is no proxy of ours is the client. What stands before it, anybody may
// have written.
func clientOf(c fiber.Ctx, proxies []netip.Prefix) netip.Addr {
	ours := func(addr netip.Addr) bool {
		return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	var client netip.Addr
	if peer, ok := c.RequestCtx().RemoteAddr().(*net.TCPAddr); ok {
		client = peer.AddrPort().Addr().Unmap()
	}
	if !ours(client) {
		return client
	}
	lines := c.Request().Header.PeekAll(fiber.HeaderXForwardedFor)
	for _, line := range slices.Backward(lines) {
		for _, hop := range slices.Backward(strings.Split(string(line), ",")) {
			addr, ok := parseHop(strings.TrimSpace(hop))
			if !ok {
				return client // so the proxy is, who passes on what is no address
			}
			if client = addr; !ours(client) {
				return client
			}
		}
	}
	return client
}

// parseHop reads an address, to which some proxies add a port.
func parseHop(text string) (addr netip.Addr, ok bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(text)
		addr = withPort.Addr()
	}
	return addr.Unmap(), err == nil
}
