package shard

import (
	"context"
	"crypto/md5" //nolint:gosec // a checksum; nothing is kept secret by it
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
)

// Identity is what a shard's database says of itself (table shard_identity):
// its place, and the ring that users were placed by.
type Identity struct {
	Name         string `json:"shard_name"`
	Index        int    `json:"shard_index"`
	Shards       int    `json:"shard_count"`
	VirtualNodes int    `json:"virtual_nodes"` // per shard; 0 without a ring
	RingChecksum string `json:"ring_checksum"` // empty without a ring
}

// IdentityQuery reads the cluster's id, the Identity, and the epoch: how often a replica
// was promoted, counted from firstEpoch, also where the schema is older than that (000010).
const IdentityQuery = `SELECT cluster_id::text, shard_name, shard_index, shard_count, virtual_nodes, ring_checksum,
       coalesce((to_jsonb(i)->>'epoch')::bigint, 1) FROM shard_identity AS i`

// Identities are those of shards with the given names, in that order.
func Identities(names []string) ([]Identity, error) {
	list := make([]Identity, 0, len(names))
	var nodes int
	var checksum string
	if len(names) > 1 {
		ring, err := NewRing(names)
		if err != nil {
			return nil, err
		}
		nodes, checksum = VirtualNodes, ring.Checksum()
	}
	for i, name := range names {
		list = append(list, Identity{Name: name, Index: i, Shards: len(names), VirtualNodes: nodes, RingChecksum: checksum})
	}
	return list, nil
}

// Match returns nil if a database that says it is found may serve as want.
func (want Identity) Match(found Identity) error {
	switch {
	case found == want:
		return nil
	case found.Name != want.Name || found.Index != want.Index:
		return fmt.Errorf("%s was expected, and %s was found: are the addresses of two shards swapped (SHARD_%d_…_ADDR)?", want.Name, found.Name, want.Index)
	case found.Shards != want.Shards:
		return fmt.Errorf("%s: its users were placed over %d shards, the settings say %d: set SHARDING_COUNT (or SHARDING_ENABLED) back", want.Name, found.Shards, want.Shards)
	default:
		return fmt.Errorf("%s: its users were placed by a ring of %d virtual nodes with checksum %s, this program's has %d and %s: run the version that made the data",
			want.Name, found.VirtualNodes, found.RingChecksum, want.VirtualNodes, want.RingChecksum)
	}
}

// Checksum tells rings apart: two with the same place every key on the same shard.
func (r *Ring) Checksum() string {
	hash := md5.New() //nolint:gosec // see above
	var point [8]byte
	for i, p := range r.points {
		binary.BigEndian.PutUint64(point[:], p)
		hash.Write(point[:])
		hash.Write([]byte(r.names[r.owners[i]]))
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// ErrNotTheShard refuses a connection to a database that is not the shard it is
// taken for. Nothing was sent on it.
var ErrNotTheShard = errors.New("not the shard it is taken for")

// ErrOutdated refuses a connection to a server from before a promotion that is known of.
var ErrOutdated = errors.New("not the shard as it is now")

// Guard admits new connections of one Router, or of one tool, which must all lead to one cluster.
type Guard struct {
	// Epochs keeps the highest epoch of each shard, for a Guard that is one of several;
	// nil where it keeps them itself.
	Epochs Epochs

	mu      sync.Mutex
	cluster string // of the first connection
	epochs  map[int]int64
}

// Epochs remembers promotions. A server that was the primary before the last one may
// have taken writes that nobody else has, and lacks those after.
type Epochs interface {
	// LearnEpoch takes in what a server of the shard has said, and returns the highest
	// epoch that one has ever said.
	LearnEpoch(shard int, epoch int64) (highest int64)
}

// Cluster is the id of the cluster that the admitted connections lead to; empty before the first.
func (g *Guard) Cluster() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cluster
}

// Admit returns what refuses every connection but those to the shard that is
// wanted. It fits stdlib.OptionAfterConnect. A pooler may be pointed elsewhere
// later, under the connection; then the database's name, which every shard has
// for itself, keeps it from logging in there.
func (g *Guard) Admit(want Identity) func(context.Context, *pgx.Conn) error {
	return func(ctx context.Context, conn *pgx.Conn) error {
		var cluster string
		var found Identity
		var epoch int64
		err := conn.QueryRow(ctx, IdentityQuery, pgx.QueryExecModeSimpleProtocol).
			Scan(&cluster, &found.Name, &found.Index, &found.Shards, &found.VirtualNodes, &found.RingChecksum, &epoch)
		if err != nil {
			return fmt.Errorf("ask which shard it is: %w", err)
		}
		if err := want.Match(found); err != nil {
			return fmt.Errorf("%w: %w", ErrNotTheShard, err)
		}
		if highest := g.learn(want.Index, epoch); epoch < highest {
			return fmt.Errorf("%w: %s is of epoch %d, and there was a promotion to epoch %d: this server was the primary before, or has not heard of it yet",
				ErrOutdated, want.Name, epoch, highest)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.cluster == "" {
			g.cluster = cluster
		}
		if g.cluster != cluster {
			return fmt.Errorf("%w: %s is of cluster %s, others are of %s", ErrNotTheShard, want.Name, cluster, g.cluster)
		}
		return nil
	}
}

func (g *Guard) learn(shard int, epoch int64) (highest int64) {
	if g.Epochs != nil {
		return g.Epochs.LearnEpoch(shard, epoch)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.epochs == nil {
		g.epochs = make(map[int]int64)
	}
	g.epochs[shard] = max(g.epochs[shard], epoch)
	return g.epochs[shard]
}
