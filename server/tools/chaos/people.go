package main

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// state is what may be known of a user.
type state struct {
	name, email string
	deleted     bool
}

// person is a user in the journal. Who writes holds the lock until the outcome is
// known, who reads shares it, so that the one right answer is known to both.
type person struct {
	mu      sync.RWMutex
	id      string
	known   state  // what was acknowledged last
	perhaps *state // what was asked for since without learning what became of it: then nobody asks any more, until the end
}

// people is everybody in the journal.
type people struct {
	mu   sync.RWMutex
	list []*person
}

func (p *people) add(one *person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = append(p.list, one)
}

// any is somebody, or nil as long as there is nobody.
func (p *people) any() *person {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.list) == 0 {
		return nil
	}
	return p.list[rand.IntN(len(p.list))] //nolint:gosec // nothing is kept secret by it
}

func (p *people) all() []*person {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.Clone(p.list)
}
