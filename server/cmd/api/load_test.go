package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// perSecond is how many reads, and how many writes, a load asks of each shard:
// few enough that the machine is no limit.
const perSecond = 20

// load asks for and changes users of every shard at a fixed rate, however it is answered.
type load struct {
	s *server

	mu   sync.Mutex
	sent []*outcome
}

// outcome is what became of one request.
type outcome struct {
	shard      string
	write      bool
	sent       time.Time
	ended      bool // the rest is known
	took       time.Duration
	status     int // 0 without an answer
	retryAfter string
	problem    problems.Body
}

func (o *outcome) fine() bool { return o.status == http.StatusOK }

// outcomes are those of a phase of a load, in the order they were sent.
type outcomes []*outcome

// startLoad begins a load that ends with the test. On each shard one user is
// changed and another is read, whom no write keeps from the replica.
func startLoad(t *testing.T, s *server, read, written map[string]user) *load {
	t.Helper()
	l := &load{s: s}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			for shard, u := range read {
				wg.Go(func() { l.ask(shard, "GET", u.ID, "") })
				wg.Go(func() { l.ask(shard, "PUT", written[shard].ID, `{"name":"Grace"}`) })
			}
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return l
}

func (l *load) ask(shard, method, id, body string) {
	o := &outcome{shard: shard, write: method == "PUT", sent: time.Now()}
	l.mu.Lock()
	l.sent = append(l.sent, o)
	l.mu.Unlock()
	req, err := http.NewRequest(method, l.s.url+"/api/v1/users/"+id, strings.NewReader(body))
	var (
		status     int
		retryAfter string
		problem    problems.Body
	)
	if err == nil {
		req.Header.Set("Content-Type", "application/json")
		var res *http.Response
		if res, err = l.s.client.Do(req); err == nil {
			err = json.NewDecoder(res.Body).Decode(&problem) // of a user nothing is kept
			_ = res.Body.Close()
			status, retryAfter = res.StatusCode, res.Header.Get("Retry-After")
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	o.ended, o.took = true, time.Since(o.sent)
	if err == nil {
		o.status, o.retryAfter, o.problem = status, retryAfter, problem
	}
}

// phase waits for so long and returns what became of what was sent meanwhile.
func (l *load) phase(t *testing.T, length time.Duration) outcomes {
	t.Helper()
	from := time.Now()
	<-time.After(length)
	to := time.Now()
	var list outcomes
	await(t, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		list = nil
		for _, o := range l.sent {
			if o.sent.Before(from) || o.sent.After(to) {
				continue
			}
			if !o.ended {
				return fmt.Errorf("a request to %s is not answered", o.shard)
			}
			list = append(list, o)
		}
		return nil
	})
	return list
}

// healed waits until the shard is well, and returns how long after now a request
// to it was last sent in vain.
func (l *load) healed(t *testing.T, shard string) (after time.Duration) {
	t.Helper()
	from := time.Now()
	await(t, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		good := 0 // in a row
		for _, o := range l.sent {
			switch {
			case o.shard != shard || o.sent.Before(from) || !o.ended:
			case o.fine():
				good++
			default:
				good, after = 0, o.sent.Sub(from)
			}
		}
		if good < perSecond {
			return fmt.Errorf("of the last requests to %s %d went well", shard, good)
		}
		return nil
	})
	return after
}

func (list outcomes) only(match func(*outcome) bool) outcomes {
	return slices.DeleteFunc(slices.Clone(list), func(o *outcome) bool { return !match(o) })
}

// took is the time within which that share of the requests was answered.
func (list outcomes) took(share float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	times := make([]time.Duration, 0, len(list))
	for _, o := range list {
		times = append(times, o.took)
	}
	slices.Sort(times)
	return times[min(len(times)-1, int(share*float64(len(times))))].Round(100 * time.Microsecond)
}

// String implements fmt.Stringer.
func (list outcomes) String() string {
	fine := list.only((*outcome).fine)
	return fmt.Sprintf("%d of %d well, p50 %s, p99 %s", len(fine), len(list), list.took(.5), list.took(.99))
}
