// Package primaries connects tools to the primary of every shard, past the poolers, as the schema's owner.
package primaries

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
)

// Set is a connection to each shard's primary. Each serves one goroutine at a time.
type Set struct {
	Conns   []*pgx.Conn
	Cluster string // the id that all shards have in common

	index map[string]int
	ring  *shard.Ring // nil with one shard
}

// Connect opens them all, and refuses shards that are not who the settings say, or not all of one cluster.
func Connect(ctx context.Context, cfg config.Config) (*Set, error) {
	s := &Set{index: make(map[string]int)}
	names := make([]string, 0, len(cfg.Shards))
	for i, node := range cfg.Shards {
		names = append(names, node.Name)
		s.index[node.Name] = i
	}
	identities, err := shard.Identities(names)
	if err != nil {
		return nil, err
	}
	if len(names) > 1 {
		if s.ring, err = shard.NewRing(names); err != nil {
			return nil, err
		}
	}
	guard := new(shard.Guard)
	for i, node := range cfg.Shards {
		conn, err := shard.ConnectPrimary(ctx, node.Servers(), func(ctx context.Context, addr string) (*pgx.Conn, error) {
			return connect(ctx, cfg, cfg.DatabaseURL(addr, cfg.DBOwner, cfg.DBOwnerPassword))
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: connect to its primary: %w", node.Name, err), s.Close())
		}
		s.Conns = append(s.Conns, conn)
		if err := guard.Admit(identities[i])(ctx, conn); err != nil {
			return nil, errors.Join(fmt.Errorf("%s at %s: %w", node.Name, s.Addr(i), err), s.Close())
		}
	}
	s.Cluster = guard.Cluster()
	return s, nil
}

// Replica connects to shard i's replica in the same way. Without one it returns nil.
func Replica(ctx context.Context, cfg config.Config, i int) (*pgx.Conn, error) {
	if cfg.Shards[i].Replica == "" {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	return connect(ctx, cfg, cfg.ReplicaURL(cfg.Shards[i], cfg.DBOwner, cfg.DBOwnerPassword))
}

func connect(ctx context.Context, cfg config.Config, to *url.URL) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*cfg.DBConnectTimeout)
	defer cancel()
	return pgx.Connect(ctx, to.String())
}

// Addr is where shard i's primary was found.
func (s *Set) Addr(i int) string {
	to := s.Conns[i].Config()
	return net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port)))
}

// Owner is the index of the shard that a key belongs to.
func (s *Set) Owner(key string) int {
	if s.ring == nil {
		return 0
	}
	return s.index[s.ring.Owner(key)]
}

// Close closes the connections.
func (s *Set) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var errs []error
	for _, c := range s.Conns {
		errs = append(errs, c.Close(ctx))
	}
	return errors.Join(errs...)
}
