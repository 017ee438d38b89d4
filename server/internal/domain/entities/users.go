// Package entities holds what the product is about: users, pages of users,
// shards as an operator sees them, and the kinds of failure. It knows nothing
// of HTTP or SQL.
package entities

import (
	"encoding/binary"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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

// Name is what a user is called: 1 to 100 characters, none of them control
// characters, without space around them.
type Name string

// MaxNameLength is in characters, not bytes.
const MaxNameLength = 100

// ParseName returns s as a Name, or an Error of kind Invalid.
func ParseName(s string) (Name, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", InvalidField("name", "must not be empty")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return "", InvalidField("name", "must not contain control characters")
	case utf8.RuneCountInString(s) > MaxNameLength:
		return "", InvalidField("name", "must be at most 100 characters long")
	}
	return Name(s), nil
}

// Email is an address as its user writes it: an addr-spec of RFC 5322 in
// ASCII, without display name, comments or space around it.
//
// ASCII is a decision: two addresses are the same user's when they differ only
// in case, and only for ASCII do the databases' lower(), whatever their locale,
// and Key agree on what that means. International domains have an xn-- form.
type Email string

// MaxEmailLength is the longest address that fits SMTP's path (RFC 3696, erratum 1690).
const MaxEmailLength = 254

// ParseEmail returns s as an Email, or an Error of kind Invalid.
func ParseEmail(s string) (Email, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", InvalidField("email", "must not be empty")
	case len(s) > MaxEmailLength:
		return "", InvalidField("email", "must be at most 254 characters long")
	case strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }):
		return "", InvalidField("email", "must be ASCII; write an international domain in its xn-- form")
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", InvalidField("email", "must not contain control characters")
	}
	addr, err := mail.ParseAddress(s)
	if err != nil || addr.Name != "" || addr.Address != s {
		return "", InvalidField("email", "must be an e-mail address such as ada@example.com")
	}
	return Email(s), nil
}

// Key is the same for all spellings of one address.
func (e Email) Key() string { return strings.ToLower(string(e)) }
