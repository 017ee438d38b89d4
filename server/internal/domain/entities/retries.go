package entities

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Hash identifies something that need not be kept itself.
type Hash [sha256.Size]byte

// String is the hash in lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IdempotencyKey names a request, so that repeating it does nothing twice: 1 to
// 255 visible ASCII characters that a client draws.
type IdempotencyKey string

// MaxIdempotencyKeyLength is in characters, all of one byte.
const MaxIdempotencyKeyLength = 255

// ParseIdempotencyKey returns s as an IdempotencyKey, or an Error of kind Invalid.
func ParseIdempotencyKey(s string) (IdempotencyKey, error) {
	visible := func(r rune) bool { return r > ' ' && r <= '~' }
	if s == "" || len(s) > MaxIdempotencyKeyLength || strings.ContainsFunc(s, func(r rune) bool { return !visible(r) }) {
		return "", InvalidField("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
	}
	return IdempotencyKey(s), nil
}

// Once says that a create is to be done once, however often it is asked for.
type Once struct {
	Key     Hash          // of the IdempotencyKey
	Request Hash          // of what is asked for under it
	TTL     time.Duration // how long it is remembered
}

// NewOnce returns the Once of a create under the key.
func NewOnce(key IdempotencyKey, name Name, email Email, ttl time.Duration) Once {
	// Neither a name nor an address holds a NUL.
	return Once{Key: sha256.Sum256([]byte(key)), Request: sha256.Sum256([]byte(string(name) + "\x00" + string(email))), TTL: ttl}
}
