package entities

import "fmt"

// Bounds of a Page. An offset costs every shard offset rows, which bounds it too.
const (
	DefaultLimit = 20
	MaxLimit     = 100
	MaxOffset    = 10_000
)

// Page is a stretch of a list: at most Limit entries after the first Offset.
type Page struct {
	limit  int
	offset int
}

// NewPage returns a Page within the bounds, or an Error of kind Invalid.
func NewPage(limit, offset int) (Page, error) {
	var errs []error
	if limit < 1 || limit > MaxLimit {
		errs = append(errs, InvalidField("limit", fmt.Sprintf("must be between 1 and %d", MaxLimit)))
	}
	if offset < 0 || offset > MaxOffset {
		errs = append(errs, InvalidField("offset", fmt.Sprintf("must be between 0 and %d", MaxOffset)))
	}
	if err := JoinInvalid(errs...); err != nil {
		return Page{}, err
	}
	return Page{limit, offset}, nil
}

// Limit is how many entries the page holds at most.
func (p Page) Limit() int { return p.limit }

// Offset is how many entries come before the page.
func (p Page) Offset() int { return p.offset }

// Next is the page after p; ok is false where an offset cannot reach it.
func (p Page) Next() (next Page, ok bool) {
	next = Page{p.limit, p.offset + p.limit}
	return next, next.offset <= MaxOffset
}

// Prev is the page before p; ok is false where p is the first.
func (p Page) Prev() (prev Page, ok bool) {
	return Page{p.limit, max(0, p.offset-p.limit)}, p.offset > 0
}
