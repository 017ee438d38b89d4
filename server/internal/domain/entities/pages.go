package entities

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Bounds of a Page. An offset costs every shard offset rows, which bounds it too;
// a cursor has no bounds and costs nothing.
const (
	DefaultLimit = 20
	MaxLimit     = 100
	MaxOffset    = 10_000
)

// Page is a stretch of the list of users, newest first: at most Limit of them,
// after the first Offset of all, or after where a Cursor stands.
type Page struct {
	limit  int
	offset int
	after  *Cursor
}

// NewPage returns a Page within the bounds, or an Error of kind Invalid.
func NewPage(limit, offset int) (Page, error) {
	var offsetErr error
	switch bounds := fmt.Sprintf("must be between 0 and %d", MaxOffset); {
	case offset < 0:
		offsetErr = InvalidField("offset", bounds)
	case offset > MaxOffset:
		offsetErr = InvalidField("offset", bounds+"; to go further, follow each page's Link to the next, whose cursor has no bounds")
	}
	if err := JoinInvalid(checkLimit(limit), offsetErr); err != nil {
		return Page{}, err
	}
	return Page{limit: limit, offset: offset}, nil
}

// NewPageAfter returns the Page where the cursor stands, or an Error of kind Invalid.
func NewPageAfter(limit int, c Cursor) (Page, error) {
	if err := checkLimit(limit); err != nil {
		return Page{}, err
	}
	return Page{limit: limit, after: &c}, nil
}

func checkLimit(limit int) error {
	if limit < 1 || limit > MaxLimit {
		return InvalidField("limit", fmt.Sprintf("must be between 1 and %d", MaxLimit))
	}
	return nil
}

// Limit is how many entries the page holds at most.
func (p Page) Limit() int { return p.limit }

// Offset is how many entries come before the page, if it has no cursor.
func (p Page) Offset() int { return p.offset }

// After is the cursor that the page comes after, nil if it has none.
func (p Page) After() *Cursor { return p.after }

// Prev is the page before p; ok is false where p is the first, or has a cursor,
// which knows no way back.
func (p Page) Prev() (prev Page, ok bool) {
	return Page{limit: p.limit, offset: max(0, p.offset-p.limit)}, p.offset > 0
}

// Cursor is where a walk through the list stands: a page, and then the page
// after each, to the end. A walk sees exactly once everybody who was there from
// before its AsOf until its end, whoever comes and goes meanwhile.
type Cursor struct {
	After uuid.UUID // the last user of the page before
	Since Moment    // who is asked must have the state of then, or a later one
	AsOf  time.Time // the Since of the first page, as clients know the time
}

// Moment is a time by a clock of the storage's own.
type Moment struct {
	Clock uint64 // whose time it is; 0 is none
	Time  int64  // in microseconds
}

// Comparable tells whether m and other are of one clock. Of two clocks nobody
// knows which time is the earlier.
func (m Moment) Comparable(other Moment) bool { return m.Clock != 0 && m.Clock == other.Clock }

// List is a Page of users.
type List struct {
	Users   []User
	AsOf    time.Time // what the walk it belongs to is complete of; see Cursor
	Next    *Cursor   // nil at the end
	Missing []string  // the shards whose users are not in it, for a reader who is lenient
}
