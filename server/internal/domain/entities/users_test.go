package entities

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestCreatedAt(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"01939f2e-7c1a-7000-8f0e-3f5b6c7d8e9f": "2024-12-07T03:34:04.058Z",
		"01939f2e-7c1a-7001-8f0e-3f5b6c7d8e9f": "2024-12-07T03:34:04.058Z",
		"01939f2e-7c1a-7bd2-8f0e-3f5b6c7d8e9f": "2024-12-07T03:34:04.058774Z",
		"01939f2e-7c1a-7f42-ffff-ffffffffffff": "2024-12-07T03:34:04.058999Z", // the last tick of the millisecond
		"01939f2e-7c1a-7fff-8f0e-3f5b6c7d8e9f": "2024-12-07T03:34:04.058999Z", // counted past it
		"01939f2e-7c1b-7000-0000-000000000000": "2024-12-07T03:34:04.059Z",
	} {
		if got := CreatedAt(uuid.MustParse(id)).Format(time.RFC3339Nano); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}

// TestCreatedAtIsTheOrderOfIDs draws ids faster than their clock ticks.
func TestCreatedAtIsTheOrderOfIDs(t *testing.T) {
	t.Parallel()
	start := time.Now()
	var last uuid.UUID
	for range 200_000 {
		id := uuid.Must(uuid.NewV7())
		if string(id[:]) <= string(last[:]) || CreatedAt(id).Before(CreatedAt(last)) {
			t.Fatalf("%s of %s was drawn after %s of %s", id, CreatedAt(id), last, CreatedAt(last))
		}
		last = id
	}
	const tick = time.Millisecond // what the clock may be behind or ahead by
	if got := CreatedAt(last); got.Before(start.Add(-tick)) || got.After(time.Now().Add(time.Second)) {
		t.Errorf("an id of now says %s", got)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	if err := JoinInvalid(nil, nil); err != nil {
		t.Errorf("joining nothing gives %v, want nil", err)
	}
	err := JoinInvalid(InvalidField("name", "must not be empty"), nil, InvalidField("email", "is required"))
	if got, want := err.Error(), "invalid input: name must not be empty: email is required"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	cause := errors.New("refused")
	wrapped := &Error{Kind: Unavailable, Message: "shard-1 does not answer", Err: cause}
	if !errors.Is(wrapped, cause) || KindOf(errors.Join(wrapped)) != Unavailable || KindOf(cause) != Internal {
		t.Error("an Error does not keep its cause or its kind")
	}
}
