package main

import (
	"cmp"
	"slices"
)

// part is what a chunk has for one shard.
type part struct {
	chunk, upTo         int // these are the chunk's first so many users
	size                int64
	userRows, claimRows rows
}

// newPart encodes people. Users go in the order of their ids, claims in that of their addresses: what lies together in
// an index is stored together.
func newPart(chunk, upTo int, people []person) part {
	const userSize, claimSize = 128, 112 // more than most take
	p := part{chunk: chunk, upTo: upTo, size: int64(len(people)), userRows: newRows(userSize * len(people)), claimRows: newRows(claimSize * len(people))}
	for i := range people {
		person := &people[i]
		p.userRows.begin(5)
		p.userRows.uuid(person.id)
		p.userRows.text(person.name)
		p.userRows.text(person.email)
		p.userRows.time(person.born)
		p.userRows.time(person.born)
	}
	slices.SortFunc(people, func(a, b person) int { return cmp.Compare(a.email, b.email) })
	for i := range people {
		person := &people[i]
		p.claimRows.begin(4)
		p.claimRows.text(person.email)
		p.claimRows.uuid(person.id)
		p.claimRows.uuid(person.token)
		p.claimRows.time(person.born)
	}
	return p
}
