package handlers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/messenger-clone/messenger-clone-api/server/internal/domain/entities"
)

func drawCursor(t *rapid.T) entities.Cursor {
	return entities.Cursor{
		After: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "after")),
		Since: entities.Moment{Clock: rapid.Uint64().Draw(t, "clock"), Time: rapid.Int64().Draw(t, "time")},
		AsOf:  time.UnixMicro(rapid.Int64Range(0, 1<<53).Draw(t, "as of")).UTC(),
	}
}

func TestCursorsComeBack(t *testing.T) {
	t.Parallel()
	cursors, again := NewCursors([]byte("secret")), NewCursors([]byte("secret"))
	rapid.Check(t, func(t *rapid.T) {
		want := drawCursor(t)
		text := cursors.Write(want)
		if len(text) != cursorLength || strings.ContainsAny(text, "+/=&?%<>") {
			t.Fatalf("%q does not go into a URL as it is, or is not %d long", text, cursorLength)
		}
		if got, err := again.Read(text); err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
	})
}

// TestCursorsAreTamperEvident changes one character of a cursor into any other,
// everywhere, and more.
func TestCursorsAreTamperEvident(t *testing.T) {
	t.Parallel()
	cursors := NewCursors([]byte("secret"))
	rapid.Check(t, func(t *rapid.T) {
		cursor := drawCursor(t)
		text := cursors.Write(cursor)
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		changed := text[:at] + string(rapid.SampledFrom([]rune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=\n\r\x00é")).Draw(t, "character")) + text[at+1:]
		for _, bad := range []string{changed, text[:at], text + text[:at+1], text[:at] + "\n" + text[at:], NewCursors([]byte("other")).Write(cursor)} {
			if got, err := cursors.Read(bad); bad != text && (entities.KindOf(err) != entities.Invalid || got != entities.Cursor{}) {
				t.Fatalf("%q reads as %+v, %v; want it refused", bad, got, err)
			}
		}
	})
}

// TestCursorOfAnotherVersion is one that is ours and from a server to come.
func TestCursorOfAnotherVersion(t *testing.T) {
	t.Parallel()
	cursors := NewCursors([]byte("secret"))
	b := slices.Concat([]byte{cursorVersion + 1}, make([]byte, cursorSize-1))
	text := cursorText.EncodeToString(slices.Concat(b, cursors.tag(b)))
	if _, err := cursors.Read(text); entities.KindOf(err) != entities.Invalid {
		t.Errorf("got %v, want it refused", err)
	}
}
