package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
)

const (
	usersPath = "/api/v1/users/"
	// patience is longer than any promise: who waits so long was left hanging.
	patience = 30 * time.Second
	// thought lies between an answer and a client's next request, so that it is not the load that is measured.
	thought = 5 * time.Millisecond
	// again is how long one waits who was told to try again later.
	again = 50 * time.Millisecond
)

// outcome is how a request ended for its client.
type outcome int

const (
	answered outcome = iota // as it must be
	refused                 // 503 with Retry-After
	cut                     // no answer: the connection ended, or nobody listens
	hung                    // no answer within patience
	wrong                   // an answer that must not be
)

// event is one request.
type event struct {
	begun, ended time.Time
	shards       []string // whose users and addresses it was about; a key's record may lie on yet another
	write        bool
	outcome      outcome
	said         string // of what went wrong
}

// client sends one request after another, never one twice by itself, as net/http's would.
type client struct {
	c      *chaos
	number int
	http   *fasthttp.HostClient
	serial int
}

type user struct{ ID, Name, Email string }

func newClient(c *chaos, number int) *client {
	return &client{c: c, number: number, http: &fasthttp.HostClient{
		Addr: strings.TrimPrefix(c.url, "http://"), ReadTimeout: patience, MaxConns: 1,
		MaxIdemponentCallAttempts: 1, RetryIfErr: func(*fasthttp.Request, int, error) (bool, bool) { return false, false },
	}}
}

func (c *client) run(ctx context.Context) {
	defer c.http.CloseIdleConnections()
	for ctx.Err() == nil {
		c.step(ctx)
		_ = sleep(ctx, thought)
	}
}

func (c *client) step(ctx context.Context) {
	c.serial++
	one := c.c.people.any()
	switch draw := rand.IntN(100); { //nolint:gosec // nothing is kept secret by it
	case one == nil || draw < 20:
		c.create(ctx)
	case draw < 35:
		c.change(one, func(s *state) { s.name = c.name() })
	case draw < 42:
		c.change(one, func(s *state) { s.email = c.address() })
	case draw < 47:
		c.delete(one)
	case draw < 90:
		c.read(one, c.byID)
	default:
		c.read(one, c.byEmail)
	}
}

func (c *client) name() string { return fmt.Sprintf("Name %d-%d", c.number, c.serial) }

func (c *client) address() string {
	return fmt.Sprintf("chaos-%s-%d-%d@example.com", c.c.id, c.number, c.serial)
}

// create makes a user. With its key it may be sent again and again until it is
// known what became of it, and still makes one.
func (c *client) create(ctx context.Context) {
	want := state{name: c.name(), email: c.address()}
	r := request{method: "POST", path: usersPath, key: uuid.NewString(), body: body(want), about: []string{want.email}, want: 201}
	for {
		var got user
		switch c.ask(r, &got) {
		case answered:
			if got.Name != want.name || got.Email != want.email {
				c.c.blame("asked for %+v, was told of %+v", want, got)
			}
			c.c.people.add(&person{id: got.ID, known: want})
			return
		case wrong:
			return
		case refused, cut, hung:
		}
		if sleep(ctx, again) != nil {
			return // and nobody was told that there is such a user
		}
	}
}

func body(s state) string {
	text, _ := json.Marshal(map[string]string{"name": s.name, "email": s.email}) // strings always can be
	return string(text)
}

func (c *client) change(one *person, to func(*state)) {
	c.write(one, func(known state) (state, request) {
		want := known
		to(&want)
		return want, request{method: "PUT", path: usersPath + one.id, body: body(want), about: []string{one.id, want.email}, want: 200}
	})
}

func (c *client) delete(one *person) {
	c.write(one, func(state) (state, request) {
		return state{deleted: true}, request{method: "DELETE", path: usersPath + one.id, about: []string{one.id}, want: 204}
	})
}

// write changes somebody whom nobody else writes or reads just now.
func (c *client) write(one *person, how func(known state) (state, request)) {
	if !one.mu.TryLock() {
		return
	}
	defer one.mu.Unlock()
	if one.known.deleted || one.perhaps != nil {
		return
	}
	want, r := how(one.known)
	if c.ask(r, nil) == answered {
		one.known = want
	} else {
		one.perhaps = &want
	}
}

// read asks for somebody and compares what is answered with the journal.
func (c *client) read(one *person, by func(*person) (state, outcome)) {
	if !one.mu.TryRLock() {
		return
	}
	defer one.mu.RUnlock()
	if one.perhaps != nil {
		return
	}
	if got, done := by(one); done == answered && got != one.known {
		c.c.blame("STALE: %s is answered as %+v, acknowledged was %+v", one.id, got, one.known)
	}
}

func (c *client) byID(one *person) (state, outcome) {
	r := request{method: "GET", path: usersPath + one.id, about: []string{one.id}, want: 200}
	if one.known.deleted {
		r.want = 404
		return one.known, c.ask(r, nil)
	}
	var got user
	done := c.ask(r, &got)
	return state{name: got.Name, email: got.Email}, done
}

func (c *client) byEmail(one *person) (state, outcome) {
	if one.known.deleted {
		return c.byID(one)
	}
	var got []user
	done := c.ask(request{method: "GET", path: usersPath + "?email=" + one.known.email, about: []string{one.id, one.known.email}, want: 200}, &got)
	if len(got) != 1 || got[0].ID != one.id {
		return state{deleted: true}, done
	}
	return state{name: got[0].Name, email: got[0].Email}, done
}

type request struct {
	method, path, key, body string
	about                   []string // ids and addresses: the keys whose shards take part
	want                    int
	orElse                  int // also right, and then there is no user in it
}

// ask sends one request and takes note of how it ended.
func (c *client) ask(r request, into any) outcome {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	req.SetRequestURI(c.c.url + r.path)
	req.Header.SetMethod(r.method)
	if r.body != "" {
		req.Header.SetContentType("application/json")
		req.SetBodyString(r.body)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	e := event{write: r.method != "GET"}
	for _, key := range r.about {
		e.shards = append(e.shards, c.c.ring.Owner(key))
	}
	c.c.log.begin(&e)
	defer c.c.log.end(&e)
	err := c.http.Do(req, res)
	status := res.StatusCode()
	switch {
	case errors.Is(err, fasthttp.ErrTimeout):
		e.outcome, e.said = hung, err.Error()
	case err != nil:
		e.outcome, e.said = cut, err.Error()
	case status == r.orElse:
		e.outcome = answered
	case status == r.want && (into == nil || json.Unmarshal(res.Body(), into) == nil):
		e.outcome = answered
	case status == fasthttp.StatusServiceUnavailable && len(res.Header.Peek("Retry-After")) > 0:
		e.outcome, e.said = refused, string(res.Body())
	default:
		e.outcome, e.said = wrong, fmt.Sprintf("%s %s: got %d %s, want %d", r.method, r.path, status, res.Body(), r.want)
		c.c.blame("%s", e.said)
	}
	return e.outcome
}
