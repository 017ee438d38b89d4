// Package entities holds what the product is about: users, pages of users,
// shards as an operator sees them, and the kinds of failure. It knows nothing
// of HTTP or SQL.
package entities

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/google/uuid"
)

// User is one user of the service.
type User struct {
	ID        uuid.UUID
	Name      Name
	Email     Email
	CreatedAt time.Time
	UpdatedAt time.Time
	Version   Version
}

// CreatedAt is when a user was created who has the id, a UUIDv7: it says so
// itself, to the microsecond. So the order of ids is the order of creation, and
// a list needs no other index than that of the ids.
//
// Ids are of uuid.NewV7, which puts milliseconds in the first 48 bits and, for
// the 12 after the version, counts the 256 ns that have passed since. It counts
// past the end of a millisecond where it must not fall behind an id it drew
// before; the time then stands still, so that it never contradicts the order.
func CreatedAt(id uuid.UUID) time.Time {
	milli := int64(binary.BigEndian.Uint64(id[:8]) >> 16)
	ticks := int64(binary.BigEndian.Uint16(id[6:8]) & 0x0fff)
	return time.UnixMicro(milli*1000 + min(ticks*256/1000, 999)).UTC()
}

// Version counts what is done to a user, from 1. Two reads with one version
// saw the same user; a new version need not differ in what clients see.
type Version int64

// Versions are those that a write accepts; nil accepts every version.
type Versions []Version

// Accept tells whether v is one of them.
func (vs Versions) Accept(v Version) bool { return vs == nil || slices.Contains(vs, v) }

// Changes is what an update sets; a nil field stays as it is.
type Changes struct {
	Name  *Name
	Email *Email
}
