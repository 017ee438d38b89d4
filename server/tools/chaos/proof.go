package main

import (
	"context"
	"fmt"
	"sync"
)

// prove asks for everybody in the journal, by id and by address: what was
// acknowledged is there, once, and what was not is either there or not.
func (c *chaos) prove(ctx context.Context) error {
	all := c.people.all()
	next := make(chan *person)
	var provers sync.WaitGroup
	var mu sync.Mutex
	var lost, unsure int
	for i := range c.clients {
		p := newClient(c, i)
		provers.Go(func() {
			defer p.http.CloseIdleConnections()
			for one := range next {
				ok := p.isAsAcknowledged(one)
				mu.Lock()
				if !ok {
					lost++
				}
				if one.perhaps != nil {
					unsure++
				}
				mu.Unlock()
			}
		})
	}
	for _, one := range all {
		next <- one
	}
	close(next)
	provers.Wait()
	fmt.Fprintf(c.out, "\n%d users in the journal, %d of them with a last write whose outcome nobody was told: %d not as acknowledged\n", len(all), unsure, lost)
	if err := c.system.Command(ctx, "verify"); err != nil {
		c.blame("users and claims do not agree: %v", err)
	} else {
		fmt.Fprintln(c.out, "make verify: every user and every claim to an address is where it belongs")
	}
	return ctx.Err()
}

// isAsAcknowledged asks for one user, once all is calm.
func (c *client) isAsAcknowledged(one *person) bool {
	possible := []state{one.known}
	if one.perhaps != nil {
		possible = append(possible, *one.perhaps)
	}
	for _, want := range possible {
		seen := &person{id: one.id, known: want}
		var found, byAddress state
		var done outcome
		if found, done = c.look(seen); done != answered || found != want {
			continue
		}
		if want.deleted {
			return true
		}
		if byAddress, done = c.byEmail(seen); done == answered && byAddress == want {
			return true
		}
	}
	c.c.blame("LOST: %s is none of %+v", one.id, possible)
	return false
}

// look asks for a user who may be there or not.
func (c *client) look(one *person) (state, outcome) {
	var got user
	r := request{method: "GET", path: usersPath + one.id, about: []string{one.id}, want: 200, orElse: 404}
	done := c.ask(r, &got)
	return state{name: got.Name, email: got.Email, deleted: got.ID == ""}, done
}
