package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var sslModes = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

// check finds what parses but cannot work.
func (c *Config) check() (problems Problems) {
	inRange := func(name string, value, low, high int) {
		if value < low || value > high {
			problems.add(name, "%d is not between %d and %d", value, low, high)
		}
	}
	inRange("PORT", c.Port, 0, 65535)
	inRange("GOMAXPROCS", c.Workers, 1, 256)
	inRange("SHARDING_COUNT", c.ShardingCount, 1, maxShards)
	if c.MemoryLimit <= 0 {
		problems.add("GOMEMLIMIT", "must be more than 0")
	}
	if c.BodyLimit < 1 || c.BodyLimit > 1<<30 {
		problems.add("BODY_LIMIT", "must be between 1B and 1GiB")
	}
	if !slices.Contains(sslModes, c.DBSSLMode) {
		problems.add("DB_SSLMODE", "%q is not one of %s", c.DBSSLMode, strings.Join(sslModes, ", "))
	}
	if _, ok := portOf(c.AdminAddr); !ok && c.AdminAddr != Off {
		problems.add("ADMIN_ADDR", "%q is not host:port, nor off", c.AdminAddr)
	}
	if c.RedisAddr != "" && !isAddr(c.RedisAddr) {
		problems.add("REDIS_ADDR", "%q is not host:port", c.RedisAddr)
	}
	problems = append(problems, c.checkCache()...)
	problems = append(problems, c.checkRates()...)
	problems = append(problems, c.checkTraces()...)
	for i, origin := range c.CORSAllowOrigins {
		c.CORSAllowOrigins[i] = strings.TrimSpace(origin)
		if !isOrigin(c.CORSAllowOrigins[i]) {
			problems.add("CORS_ALLOW_ORIGINS", "%q is not an origin such as https://app.example.com or https://*.example.com, nor *", origin)
		}
	}
	problems = append(problems, c.checkPools()...)
	problems = append(problems, c.checkTimes()...)
	return append(problems, c.checkShards()...)
}

// redisURL is what the cache's client understands for certain.
var redisURL = regexp.MustCompile(`^rediss?://([^/@?#]*@)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[0-9]{1,3})?$`)

// checkCache leaves most of the memory to what answers requests.
func (c *Config) checkCache() (problems Problems) {
	if text := c.RedisURL.Reveal(); text != "" && !redisURL.MatchString(text) {
		problems.add("REDIS_URL", "is not redis://host:port, with a user, a password and a number of a database if need be: "+
			"redis://user:password@host:port/0; rediss:// for TLS; what is special in a password is percent-encoded")
	}
	if least, most := Bytes(c.Workers+1)<<20, c.MemoryLimit/4; c.RedisURL != "" && (c.CacheSize < least || c.CacheSize > most) {
		problems.add("CACHE_SIZE", "must be between %dMiB, 1MiB for each worker and one more, and %dMiB, a quarter of GOMEMLIMIT", least>>20, most>>20)
	}
	return problems
}

// checkRates wants whole seconds, which is what clients are told.
func (c *Config) checkRates() (problems Problems) {
	if r := c.RateLimit; r != (Rate{}) && (r.Count < 1 || r.Per < time.Second || r.Per > 24*time.Hour || r.Per%time.Second != 0) {
		problems.add("RATE_LIMIT", "must be 1 request or more in a time from 1s to 24h, in whole seconds")
	}
	for i, text := range c.TrustedProxies {
		c.TrustedProxies[i] = strings.TrimSpace(text)
		if _, err := parseNetwork(c.TrustedProxies[i]); err != nil {
			problems.add("TRUSTED_PROXIES", "%q is not an address such as 192.0.2.7 or a network such as 10.0.0.0/8", text)
		}
	}
	return problems
}

// checkTraces finds what OpenTelemetry's SDK would only log, or not even that. While
// nothing is traced it may be meant for other programs.
func (c *Config) checkTraces() (problems Problems) {
	if !c.Traces() {
		return nil
	}
	if c.TracesExporter != "otlp" {
		problems.add("OTEL_TRACES_EXPORTER", "%q is not otlp, nor none", c.TracesExporter)
	}
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_PROTOCOL": c.OTLPProtocol, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": c.OTLPTracesProtocol,
	} {
		if value != "" && value != "http/protobuf" {
			problems.add(name, "%q is not http/protobuf, which is what this server speaks: give it the collector's port for that, usually 4318", value)
		}
	}
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.OTLPEndpoint, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": c.OTLPTracesEndpoint,
	} {
		if u, err := url.Parse(value); value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			problems.add(name, "%q is not a URL such as http://127.0.0.1:4318", value)
		}
	}
	return problems
}

func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Unmap().Prefix(addr.Unmap().BitLen())
	}
	network, err := netip.ParsePrefix(text)
	if addr := network.Addr(); err == nil && addr.Is4In6() { // as which no client is known
		return addr.Unmap().Prefix(network.Bits() - 96)
	}
	return network, err
}

// checkPools makes sure that every worker gets at least one connection.
func (c *Config) checkPools() (problems Problems) {
	check := func(kind string, open, idle int) {
		openName, idleName := "DB_"+kind+"_MAX_OPEN_CONNS", "DB_"+kind+"_MAX_IDLE_CONNS"
		if open < c.Workers {
			problems.add(openName, "%d connections for %d workers (GOMAXPROCS): each needs at least one", open, c.Workers)
		}
		switch {
		case idle > open:
			problems.add(idleName, "%d is more than %s, which is %d", idle, openName, open)
		case idle < 0, idle > 0 && idle < c.Workers && open >= c.Workers:
			problems.add(idleName, "%d idle connections for %d workers (GOMAXPROCS): give each at least one, or 0 for none", idle, c.Workers)
		}
	}
	check("WRITE", c.DBWriteMaxOpenConns, c.DBWriteMaxIdleConns)
	check("READ", c.DBReadMaxOpenConns, c.DBReadMaxIdleConns)
	return problems
}

func (c *Config) checkTimes() (problems Problems) {
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"DB_CONNECT_TIMEOUT", c.DBConnectTimeout},
		{"DB_READ_TIMEOUT", c.DBReadTimeout},
		{"REPLICA_MAX_LAG", c.ReplicaMaxLag},
		{"REQUEST_TIMEOUT", c.RequestTimeout},
		{"DRAIN_TIMEOUT", c.DrainTimeout},
		{"READ_TIMEOUT", c.ReadTimeout},
		{"WRITE_TIMEOUT", c.WriteTimeout},
		{"IDLE_TIMEOUT", c.IdleTimeout},
		{"STATS_MAX_AGE", c.StatsMaxAge},
		{"IDEMPOTENCY_TTL", c.IdempotencyTTL},
		{"CACHE_MAX_AGE", c.CacheMaxAge},
	} {
		if d.value <= 0 {
			problems.add(d.name, "must be more than 0")
		}
	}
	if c.DBReadTimeout > 0 && c.RequestTimeout > 0 && c.DBReadTimeout >= c.RequestTimeout {
		problems.add("DB_READ_TIMEOUT", "%s leaves nothing of REQUEST_TIMEOUT, %s, in which to ask the primary", c.DBReadTimeout, c.RequestTimeout)
	}
	return problems
}

// checkShards finds addresses that are malformed or stand twice: two shards on
// one database would each see the other's users as their own.
func (c *Config) checkShards() (problems Problems) {
	owner := make(map[string]string)
	for i, shard := range c.Shards {
		for _, a := range []struct{ role, addr string }{
			{"WRITE", shard.Pooler}, {"PRIMARY", shard.Primary}, {"REPLICA", shard.Replica},
		} {
			name := shardVariable(i, a.role)
			switch {
			case a.addr == "": // no replica
			case !isAddr(a.addr):
				problems.add(name, "%q is not host:port", a.addr)
			case owner[a.addr] != "" && !sameShard(owner[a.addr], name):
				problems.add(name, "%s is also %s (the default ports hold for 10 shards; beyond, give every address)", a.addr, owner[a.addr])
			default:
				owner[a.addr] = name
			}
		}
	}
	return problems
}

// sameShard tells whether two variables are of one shard, whose pooler and
// primary may well be one address where there is no pooler.
func sameShard(a, b string) bool {
	prefix := func(s string) string { return strings.Join(strings.Split(s, "_")[:2], "_") }
	return prefix(a) == prefix(b)
}

func isAddr(s string) bool {
	port, ok := portOf(s)
	return ok && port != 0
}

// portOf is the port in host:port; 0 asks the system for a free one, to listen on.
func portOf(s string) (port int, ok bool) {
	host, text, err := net.SplitHostPort(s)
	if err != nil || host == "" {
		return 0, false
	}
	port, err = strconv.Atoi(text)
	return port, err == nil && port >= 0 && port <= 65535
}

// isOrigin tells whether s is what a browser may send as Origin: scheme, host
// and perhaps port. A host may begin with *., for all below it; * is every origin.
func isOrigin(s string) bool {
	if s == "*" {
		return true
	}
	u, err := url.Parse(strings.Replace(s, "://*.", "://", 1))
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && originHost.MatchString(u.Host) &&
		s == strings.ToLower(s) && u.Scheme+"://"+u.Host == strings.Replace(s, "://*.", "://", 1)
}

var originHost = regexp.MustCompile(`^(([a-z0-9_-]+[.])*[a-z0-9_-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$`)
