package entities

import (
	"errors"
	"testing"

	"github.com/google/uuid"
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
			if err != nil || p.Limit() != test.limit || p.Offset() != test.offset || p.After() != nil {
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

func TestNewPageAfter(t *testing.T) {
	t.Parallel()
	c := Cursor{After: uuid.Must(uuid.NewV7()), Since: Moment{1, 2}}
	p, err := NewPageAfter(7, c)
	if err != nil || p.Limit() != 7 || p.Offset() != 0 || p.After() == nil || *p.After() != c {
		t.Errorf("got %v, %v; want limit 7 after %v", p, err, c)
	}
	if _, ok := p.Prev(); ok {
		t.Error("a cursor leads back")
	}
	for _, limit := range []int{0, 101} {
		if _, err := NewPageAfter(limit, c); KindOf(err) != Invalid {
			t.Errorf("limit %d: got %v, want Invalid", limit, err)
		}
	}
}

func TestPrev(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		page, prev Page
		ok         bool
	}{
		{Page{limit: 20}, Page{limit: 20}, false},
		{Page{limit: 20, offset: 5}, Page{limit: 20}, true},
		{Page{limit: 20, offset: 40}, Page{limit: 20, offset: 20}, true},
		{Page{limit: 100, offset: 10_000}, Page{limit: 100, offset: 9_900}, true},
	} {
		if prev, ok := test.page.Prev(); prev != test.prev || ok != test.ok {
			t.Errorf("%v has prev %v %t, want %v %t", test.page, prev, ok, test.prev, test.ok)
		}
	}
}

func TestMomentsOfTwoClocks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b Moment
		want bool
	}{
		{Moment{1, 2}, Moment{1, 3}, true},
		{Moment{1, 2}, Moment{2, 2}, false},
		{Moment{}, Moment{}, false},
	} {
		if got := test.a.Comparable(test.b); got != test.want {
			t.Errorf("%v and %v comparable: %t, want %t", test.a, test.b, got, test.want)
		}
	}
}
