package handlers

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

// Cursors writes cursors down for clients, who bring them back, and knows
// whether they have been changed meanwhile. To clients they are opaque.
type Cursors struct{ key []byte }

// NewCursors returns Cursors under a secret key. Every process of the server has
// the same, also after a restart.
func NewCursors(key []byte) Cursors { return Cursors{key: key} }

// A written cursor is base64url of a version, the last user's id, the Moment,
// the time that clients were told, and a keyed hash of all that.
const (
	cursorVersion = 1
	cursorSize    = 1 + 16 + 8 + 8 + 8
	// cursorTagSize leaves a forger one chance in 2¹²⁸.
	cursorTagSize = 16
)

// cursorText refuses text that would decode to the same bytes as another, but
// for line breaks, which the length gives away.
var cursorText = base64.RawURLEncoding.Strict()

// cursorLength is in characters. No bits are left over.
const cursorLength = (cursorSize + cursorTagSize) / 3 * 4

var errBadCursor = entities.InvalidField("cursor", "is not one that this server gave out; start again with the first page, without a cursor")

// Write returns the cursor as clients see it.
func (c Cursors) Write(cursor entities.Cursor) string {
	b := make([]byte, 0, cursorSize+cursorTagSize)
	b = append(b, cursorVersion)
	b = append(b, cursor.After[:]...)
	b = binary.BigEndian.AppendUint64(b, cursor.Since.Clock)
	b = binary.BigEndian.AppendUint64(b, uint64(cursor.Since.Time))
	b = binary.BigEndian.AppendUint64(b, uint64(cursor.AsOf.UnixMicro()))
	return cursorText.EncodeToString(append(b, c.tag(b)...))
}

// Read returns the cursor that a client brings back. One that Write has not
// written is Invalid.
func (c Cursors) Read(text string) (entities.Cursor, error) {
	b, err := cursorText.DecodeString(text)
	if err != nil || len(text) != cursorLength {
		return entities.Cursor{}, errBadCursor
	}
	b, tag := b[:cursorSize], b[cursorSize:]
	if !hmac.Equal(tag, c.tag(b)) || b[0] != cursorVersion {
		return entities.Cursor{}, errBadCursor
	}
	return entities.Cursor{
		After: uuid.UUID(b[1:17]),
		Since: entities.Moment{Clock: binary.BigEndian.Uint64(b[17:]), Time: int64(binary.BigEndian.Uint64(b[25:]))},
		AsOf:  time.UnixMicro(int64(binary.BigEndian.Uint64(b[33:]))).UTC(),
	}, nil
}

func (c Cursors) tag(b []byte) []byte {
	mac := hmac.New(sha256.New, c.key)
	_, _ = mac.Write(b) // a hash takes everything
	return mac.Sum(nil)[:cursorTagSize]
}
