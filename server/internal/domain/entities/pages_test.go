package entities

import (
	"errors"
	"testing"
)

func TestNewPage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		limit, offset int
		fields        int
	}{
		{1, 0, 0}, {100, 10_000, 0}, {0, 0, 1}, {101, 0, 1}, {-1, 0, 1}, {20, -1, 1}, {20, 10_001, 1}, {0, -1, 2},
	} {
		p, err := NewPage(test.limit, test.offset)
		if test.fields == 0 {
			if err != nil || p.Limit() != test.limit || p.Offset() != test.offset {
				t.Errorf("NewPage(%d, %d) = %v, %v; want it as given", test.limit, test.offset, p, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Kind != Invalid || len(e.Fields) != test.fields {
			t.Errorf("NewPage(%d, %d) fails with %v, want Invalid with %d fields", test.limit, test.offset, err, test.fields)
		}
	}
}

func TestPageNeighbours(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		page           Page
		next, prev     Page
		hasNext, hasPr bool
	}{
		{Page{20, 0}, Page{20, 20}, Page{20, 0}, true, false},
		{Page{20, 5}, Page{20, 25}, Page{20, 0}, true, true},
		{Page{20, 40}, Page{20, 60}, Page{20, 20}, true, true},
		{Page{100, 10_000}, Page{100, 10_100}, Page{100, 9_900}, false, true},
	} {
		next, hasNext := test.page.Next()
		prev, hasPrev := test.page.Prev()
		if next != test.next || prev != test.prev || hasNext != test.hasNext || hasPrev != test.hasPr {
			t.Errorf("%v has next %v %t, prev %v %t; want %v %t, %v %t", test.page,
				next, hasNext, prev, hasPrev, test.next, test.hasNext, test.prev, test.hasPr)
		}
	}
}
