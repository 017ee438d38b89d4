// Package shard finds the shard that owns a key and holds the connections to
// the shards.
package shard

import (
	"cmp"
	"crypto/md5" //nolint:gosec // MD5 spreads keys here; nothing is kept secret by it
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// VirtualNodes is how many points each shard has on a Ring. It is part of the
// placement of every stored user: changing it moves users. With it and five
// shards no share is off by more than 3 % (TestRingBalance).
const VirtualNodes = 4096

// Ring is a consistent-hash ring: it says which shard owns a key. It is an
// immutable value, the same in every process that is given the same names.
//
// A point on the ring is the first 8 bytes, big-endian, of an MD5 digest. A
// virtual node's is that of "shard-3#17", a key's that of the key's text, and
// the owner of a key is the node at its point or the next one above, around the
// end to the lowest. In SQL a user's point is md5(id::text)'s first 16 digits.
type Ring struct {
	points []uint64 // ascending
	owners []uint8  // owners[i] owns what lies in (points[i-1], points[i]]
	names  []string
}

// NewRing returns the ring of the shards with the given names, in any order.
func NewRing(names []string) (*Ring, error) {
	if len(names) == 0 || len(names) > 256 {
		return nil, fmt.Errorf("ring of %d shards: want 1 to 256", len(names))
	}
	r := &Ring{names: slices.Clone(names)}
	slices.Sort(r.names)
	if len(slices.Compact(slices.Clone(r.names))) != len(r.names) {
		return nil, errors.New("ring: two shards have the same name")
	}

	type node struct {
		point uint64
		owner uint8
	}
	nodes := make([]node, 0, len(r.names)*VirtualNodes)
	for owner, name := range r.names {
		for i := range VirtualNodes {
			nodes = append(nodes, node{point(name + "#" + strconv.Itoa(i)), uint8(owner)})
		}
	}
	slices.SortFunc(nodes, func(a, b node) int {
		return cmp.Or(cmp.Compare(a.point, b.point), cmp.Compare(a.owner, b.owner))
	})
	for _, n := range nodes {
		r.points = append(r.points, n.point)
		r.owners = append(r.owners, n.owner)
	}
	return r, nil
}

// Owner returns the name of the shard that owns the key. It does not allocate.
// A key must be in its canonical form: a UUID in lower case, an Email's Key.
func (r *Ring) Owner(key string) string {
	i, _ := slices.BinarySearch(r.points, point(key))
	if i == len(r.points) {
		i = 0
	}
	return r.names[r.owners[i]]
}

// Shares returns what part of all keys each shard owns. They add up to 1.
func (r *Ring) Shares() map[string]float64 {
	shares := make(map[string]float64, len(r.names))
	before := r.points[len(r.points)-1]
	for i, p := range r.points {
		shares[r.names[r.owners[i]]] += float64(p-before) / (1 << 64) // wraps around the end, as the ring does
		before = p
	}
	return shares
}

// point reads the key through a buffer on the stack: md5.Sum(([]byte)(key))
// would allocate for a key of more than 32 bytes, which a UUID's text is.
func point(key string) uint64 {
	var buf [256]byte
	sum := md5.Sum(append(buf[:0], key...)) //nolint:gosec // see above
	return binary.BigEndian.Uint64(sum[:8])
}
