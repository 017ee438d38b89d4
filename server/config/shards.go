package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Ports of shard 0; shard i listens i ports above. They lie ten apart, so the
// defaults hold for ten shards and collide from the eleventh on.
const (
	basePoolerPort  = 6430
	basePrimaryPort = 5440
	baseReplicaPort = 5450
	maxShards       = 64
)

// noReplica as an address says that a shard has no replica.
const noReplica = "none"

// Shard says where one shard's servers are, each as host:port.
type Shard struct {
	Name string // shard-0 and so on: part of the ring, so it can never change
	// Database is <DB_NAME>_<i>. A name of its own per shard makes a login to
	// another shard's server fail, also where a pooler is pointed elsewhere under
	// open connections: no client reconnects then, but the pooler has to.
	Database string
	Pooler   string // PgBouncer before the primary: all writes
	Primary  string // the server that was made as the primary
	Replica  string // the one that was made as its replica; empty when the shard has none
}

// Servers are the addresses of the shard's databases, without its pooler. Roles move
// between them by a failover: which one is the primary is found out by asking.
func (s Shard) Servers() []string {
	if s.Replica == "" {
		return []string{s.Primary}
	}
	return []string{s.Primary, s.Replica}
}

func shardVariable(i int, role string) string { return fmt.Sprintf("SHARD_%d_%s_ADDR", i, role) }

// shards resolves the addresses. Without sharding there is one shard, number 0.
func shards(values map[string]string, name string, sharded bool, count int) []Shard {
	if !sharded {
		count = 1
	}
	list := make([]Shard, 0, min(max(count, 0), maxShards))
	for i := range min(max(count, 0), maxShards) {
		addr := func(role string, base int) string {
			return cmp.Or(values[shardVariable(i, role)], fmt.Sprintf("127.0.0.1:%d", base+i))
		}
		shard := Shard{
			Name:     fmt.Sprintf("shard-%d", i),
			Database: fmt.Sprintf("%s_%d", name, i),
			Pooler:   addr("WRITE", basePoolerPort),
			Primary:  addr("PRIMARY", basePrimaryPort),
			Replica:  addr("REPLICA", baseReplicaPort),
		}
		if shard.Replica == noReplica {
			shard.Replica = ""
		}
		list = append(list, shard)
	}
	return list
}

// DatabaseURL is how to reach the database of the shard that has a server at
// addr, as user. Its String holds the password; print Redacted.
func (c Config) DatabaseURL(addr, user string, password Secret) *url.URL {
	return &url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(user, password.Reveal()),
		Host:     addr,
		Path:     c.databaseAt(addr),
		RawQuery: url.Values{"sslmode": {c.DBSSLMode}}.Encode(),
	}
}

// ReplicaURL is how to reach the shard's replica, whichever of its servers that is: the
// driver asks them, that address first where replicas are when nothing has failed, and
// never stays on a primary.
func (c Config) ReplicaURL(s Shard, user string, password Secret) *url.URL {
	u := c.DatabaseURL(s.Replica, user, password)
	var hosts, ports []string
	for _, addr := range []string{s.Replica, s.Primary} {
		host, port, _ := net.SplitHostPort(addr) // Load has checked them
		hosts, ports = append(hosts, host), append(ports, port)
	}
	// As parameters: a URL has room for one host.
	u.Host, u.Path = "", "/"+u.Path
	u.RawQuery = url.Values{
		"host": {strings.Join(hosts, ",")}, "port": {strings.Join(ports, ",")},
		"sslmode": {c.DBSSLMode}, "target_session_attrs": {"standby"},
	}.Encode()
	return u
}

// databaseAt is the database of the shard that has a server at addr. No two
// shards have one at the same (checkShards).
func (c Config) databaseAt(addr string) string {
	for _, s := range c.Shards {
		if addr == s.Pooler || addr == s.Primary || addr == s.Replica {
			return s.Database
		}
	}
	return ""
}
