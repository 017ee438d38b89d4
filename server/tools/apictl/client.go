package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

const (
	maxAnswer = 1 << 20 // bytes; 64 shards fit a hundred times
	slack     = 2 * time.Second
)

// client calls one API.
type client struct {
	base    string
	timeout time.Duration
}

// newClient returns a client for the API that these settings start.
func newClient(cfg config.Config) client {
	host := cfg.Host
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens everywhere, so here as well
		if ip.To4() == nil {
			host = "::1"
		}
	}
	return client{
		base: "http://" + net.JoinHostPort(host, strconv.Itoa(cfg.Port)),
		// The API ends every request itself; so whoever gives up first is not us.
		timeout: cfg.RequestTimeout + slack,
	}
}

// answer is what the API said.
type answer struct {
	status int
	body   []byte
}

// get asks for a path. An error says in one sentence what to do.
func (c client) get(ctx context.Context, path string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, http.NoBody)
	if err != nil {
		return answer{}, err
	}

	direct := &http.Transport{DisableKeepAlives: true} // and no proxy, whatever the environment says
	response, err := direct.RoundTrip(request)
	if err != nil {
		return answer{}, c.explain(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return answer{}, c.explain(ctx, err)
	}
	if len(body) > maxAnswer {
		return answer{}, c.stranger()
	}
	return answer{response.StatusCode, body}, nil
}

func (c client) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("the API at %s did not answer within %s: see `make logs`, then `make restart`", c.base, c.timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no API listens at %s: start it with `make dev`", c.base)
	default:
		return fmt.Errorf("no answer from the API at %s (%w): start it with `make dev`", c.base, err)
	}
}

// stranger is for an answer that our API would not give.
func (c client) stranger() error {
	return fmt.Errorf("what answers at %s is not this API: stop it, or start the API on another PORT with `make dev`", c.base)
}

// refused words a problem (RFC 9457) that the API answered.
func (c client) refused(a answer) error {
	var problem struct{ Title, Detail string }
	if err := json.Unmarshal(a.body, &problem); err != nil || problem.Title == "" {
		return c.stranger()
	}
	return fmt.Errorf("the API at %s answered %d: %s: see `make health` and `make logs`",
		c.base, a.status, cmp.Or(problem.Detail, problem.Title))
}
