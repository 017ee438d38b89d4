package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/database/shard"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestOverload asks a shard's primary, slowed down and over one connection of each worker, for
// more than it can do, whether what was asked before has been answered or not.
// docs/RELIABILITY.md states what is asserted here, and shows the curve, which is
// written to the file that OVERLOAD_CURVE names.
func TestOverload(t *testing.T) {
	needsQuiet(t)
	cfg := testcluster.Open(t)
	pooler := testcluster.NewProxy(t, cfg.Shards[0].Pooler)
	s := start(t, "SHARD_0_WRITE_ADDR="+pooler.Addr, "DB_WRITE_MAX_OPEN_CONNS="+strconv.Itoa(workers+1), "REQUEST_TIMEOUT=3s")
	newTraffic(s, createsOn(t, cfg, "shard-0")).closed(32, 3*time.Second) // so many users, or changes would wait for each other
	paths := testcluster.MustQuery[string](t, testcluster.Primary(t, cfg, 0), "SELECT '/api/v1/users/' || id FROM users")
	pooler.Slow(25 * time.Millisecond) // so that the machine is not the limit
	var versions []string
	for v := range 200 {
		versions = append(versions, strconv.Quote(strconv.Itoa(v+1)))
	}
	l := newTraffic(s, func() request { // under several versions, since those under one go together
		return request{fasthttp.MethodPut, paths[rand.IntN(len(paths))], `{"name":"Grace"}`, "If-Match", strings.Join(versions, ", ")}
	})
	peak := l.peak(t, 4*workers)
	curve := l.levels(t, peak, 0.5, 1, 2, 5)
	flood := l.mustBear(t, 4*workers, peak, 10, time.Minute)
	if most := float64(promisedFast.Milliseconds()); flood.refusedP99 > most {
		t.Errorf("99 %% are refused within %.0f ms, want %.0f", flood.refusedP99, most)
	}
	if file := os.Getenv("OVERLOAD_CURVE"); file != "" {
		if err := os.WriteFile(file, []byte(drawCurve(peak.answered, append(curve, flood))), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// TestOverloadAtFullSpeed asks all shards for twice of what 64 clients get, of what goes together.
// docs/RELIABILITY.md tells what becomes of the rest, where the machine is the limit.
func TestOverloadAtFullSpeed(t *testing.T) {
	needsQuiet(t)
	cfg := testcluster.Open(t)
	s := start(t)
	s.deaf.Store(true)
	haveProcessors(t)
	bear := func(name string, next func() request) {
		t.Run(name, func(t *testing.T) {
			const clients = 64
			l := newTraffic(s, next)
			l.mustBear(t, clients, l.peak(t, clients), 2, 20*time.Second)
		})
	}
	creates := createsOn(t, cfg, shardNames(cfg)...)
	bear("creates", creates)
	bear("creates with a key", func() request {
		r := creates()
		r.header, r.value = "Idempotency-Key", strconv.FormatUint(rand.Uint64(), 36)
		return r
	})
	var paths, bodies []string // of those who were created: updates of few users would wait for each other
	for i := range cfg.Shards {
		conn := testcluster.Primary(t, cfg, i)
		paths = append(paths, testcluster.MustQuery[string](t, conn, "SELECT '/api/v1/users/' || id FROM users ORDER BY id")...)
		bodies = append(bodies, testcluster.MustQuery[string](t, conn, "SELECT json_build_object('name', 'Grace', 'email', email)::text FROM users ORDER BY id")...)
	}
	bear("updates", func() request {
		i := rand.IntN(len(paths))
		return request{method: fasthttp.MethodPut, path: paths[i], body: bodies[i]}
	})
}

// haveProcessors has this process asked before others where all of them are needed, as clients on
// machines of their own would be: else it measures how late it is itself.
func haveProcessors(t *testing.T) {
	t.Helper()
	_, _ = unix.Setsid()                                                                              // it fails for who has a session already
	share := func(nice string) error { return os.WriteFile("/proc/self/autogroup", []byte(nice), 0) } // sched(7)
	if err := share("-10"); err != nil {
		t.Logf("the times are this process's, too: %v", err)
		return
	}
	t.Cleanup(func() { _ = share("0") })
}

func needsQuiet(t *testing.T) {
	t.Helper()
	if os.Getenv("TEST_LONG") == "" {
		t.Skip("measures times, for which the machine must be idle: run `make test-long`")
	}
}

type request struct{ method, path, body, header, value string }

// createsOn creates users who live on one of the shards.
func createsOn(t *testing.T, cfg config.Config, shards ...string) func() request {
	t.Helper()
	ring, err := shard.NewRing(shardNames(cfg))
	if err != nil {
		t.Fatal(err)
	}
	return func() request {
		email := fmt.Sprintf("%d@example.com", rand.Uint64())
		for !slices.Contains(shards, ring.Owner(email)) {
			email = fmt.Sprintf("%d@example.com", rand.Uint64())
		}
		return request{method: fasthttp.MethodPost, path: listPath, body: createBody("Ada", email)}
	}
}

type traffic struct {
	server *server
	client fasthttp.Client
	next   func() request
}

func newTraffic(s *server, next func() request) *traffic {
	return &traffic{
		server: s, next: next,
		client: fasthttp.Client{MaxConnsPerHost: 20_000, MaxIdemponentCallAttempts: 1, ReadTimeout: 10 * time.Second, Dial: dialFromMany},
	}
}

// dialFromMany connects from one of many addresses, as many clients would. From a single one
// the kernel has 28,000 ports to an address, and looks for a free one ever longer: with
// 15,000 in use that took both processors.
func dialFromMany(addr string) (net.Conn, error) {
	from := net.TCPAddr{IP: net.IPv4(127, 0, byte(rand.IntN(64)), 2)}
	return (&net.Dialer{LocalAddr: &from, Timeout: 10 * time.Second}).Dial("tcp", addr)
}

type asked struct {
	status int // 0 if there was no answer
	took   time.Duration
}

func (l *traffic) ask(r request) asked {
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	req.SetRequestURI(l.server.url + r.path)
	req.Header.SetMethod(r.method)
	if r.body != "" {
		req.Header.SetContentType("application/json")
		req.SetBodyString(r.body)
	}
	if r.header != "" {
		req.Header.Set(r.header, r.value)
	}
	began := time.Now()
	if err := l.client.Do(req, res); err != nil {
		return asked{took: time.Since(began)}
	}
	return asked{res.StatusCode(), time.Since(began)}
}

func (l *traffic) one() asked { return l.ask(l.next()) }

// level is what came of so many requests a second.
type level struct{ asked, answered, refused, p99, refusedP99 float64 }

func levelOf(all []asked, length time.Duration) level {
	times := func(is func(status int) bool) (perSecond, p99 float64) {
		var took []float64
		for _, a := range all {
			if is(a.status) {
				took = append(took, float64(a.took.Microseconds())/1000)
			}
		}
		if len(took) == 0 {
			return 0, 0
		}
		slices.Sort(took)
		return float64(len(took)) / length.Seconds(), took[(len(took)-1)*99/100]
	}
	var l level
	l.asked = float64(len(all)) / length.Seconds()
	l.answered, l.p99 = times(func(s int) bool { return s/100 == 2 })
	l.refused, l.refusedP99 = times(func(s int) bool { return s == 503 })
	return l
}

func (l level) String() string {
	return fmt.Sprintf("asked for %.0f/s: %.0f/s answered, p99 %.0f ms; %.0f/s refused, p99 %.1f ms; %.0f/s otherwise",
		l.asked, l.answered, l.p99, l.refused, l.refusedP99, l.asked-l.answered-l.refused)
}

// closed has so many clients ask one after the other.
func (l *traffic) closed(clients int, length time.Duration) level {
	var (
		mu  sync.Mutex
		all []asked
		wg  sync.WaitGroup
	)
	end := time.Now().Add(length)
	for range clients {
		wg.Go(func() {
			for time.Now().Before(end) {
				a := l.one()
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return levelOf(all, length)
}

// open asks so often, whether those before were answered or not.
func (l *traffic) open(perSecond float64, length time.Duration) level {
	var (
		mu  sync.Mutex
		all []asked
		wg  sync.WaitGroup
	)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for sent := 0; time.Since(began) < length; <-tick.C {
		for ; float64(sent) < perSecond*time.Since(began).Seconds(); sent++ {
			wg.Go(func() {
				a := l.one()
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
			})
		}
	}
	took := time.Since(began)
	wg.Wait()
	return levelOf(all, took)
}

// peak is what so many clients get, one request after the other.
func (l *traffic) peak(t *testing.T, clients int) level {
	t.Helper()
	l.closed(clients, 2*time.Second) // until the pools are full
	peak := l.closed(clients, 4*time.Second)
	t.Logf("%d clients, one request after the other: %s", clients, peak)
	return peak
}

// levels asks for parts and multiples of the peak.
func (l *traffic) levels(t *testing.T, peak level, steps ...float64) (curve []level) {
	t.Helper()
	for _, step := range steps {
		got := l.open(step*peak.answered, 5*time.Second)
		t.Log(got)
		curve = append(curve, got)
	}
	return curve
}

// mustBear asks for a multiple of the peak, for so long.
func (l *traffic) mustBear(t *testing.T, clients int, peak level, times float64, length time.Duration) (flood level) {
	t.Helper()
	kept, anew := watch(t, l.server.url+"/health"), watch(t, l.server.url+"/livez", "--header", "Connection: close")
	flood = l.open(times*peak.answered, length)
	alive := levelOf(append(kept(), anew()...), length)
	t.Logf("for %s: %s; /health and /livez answered %.1f of %.1f/s, p99 %.0f ms", length, flood, alive.answered, alive.asked, alive.p99)

	if flood.answered < 0.8*peak.answered {
		t.Errorf("%.0f a second are answered, want 80 %% of %.0f", flood.answered, peak.answered)
	}
	if alive.asked == 0 || alive.answered < alive.asked {
		t.Errorf("/health and /livez answered %.2f of %.2f times a second", alive.answered, alive.asked)
	}
	const recovery = 5 * time.Second
	began := time.Now()
	await(t, func() error {
		if got := l.closed(clients, 100*time.Millisecond); got.answered < got.asked {
			return fmt.Errorf("%.0f of %.0f a second are answered", got.answered, got.asked)
		}
		return nil
	})
	if took := time.Since(began); took > recovery {
		t.Errorf("in order after %s, want %s", took, recovery)
	}
	return flood
}

// drawCurve draws how much was answered by how much was asked for, both as
// multiples of the peak, to be read on light and on dark ground.
func drawCurve(peak float64, curve []level) string {
	const left, top, width, height = 60, 40, 520, 240
	most := max(1, curve[len(curve)-1].asked/peak)
	x := func(l level) float64 { return left + l.asked/peak/most*width }
	y := func(perSecond float64) float64 { return top + height - perSecond/peak/1.2*height }
	var body, line strings.Builder
	for i, l := range curve {
		fmt.Fprintf(&line, "%s%.0f %.0f", map[bool]string{true: "M", false: " L"}[i == 0], x(l), y(l.answered))
		fmt.Fprintf(&body, "<circle cx=\"%.0f\" cy=\"%.0f\" r=\"4\"><title>%s</title></circle>\n", x(l), y(l.answered), l)
		fmt.Fprintf(&body, "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">%.0f/s</text>\n", x(l), y(l.answered)-10, l.answered)
		fmt.Fprintf(&body, "<text x=\"%.0f\" y=\"%d\" text-anchor=\"middle\">%.1f×</text>\n", x(l), top+height+18, l.asked/peak)
	}
	axes := fmt.Sprintf(`<path class="axis" d="M%d %d V%d H%d"/><path class="axis all" d="M%d %.0f H%d"/>`, left, top, top+height, left+width, left, y(peak), left+width)
	last := curve[len(curve)-1]
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img">
<title>Requests answered a second, by how many are asked for</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #24292f } .axis { stroke: #8c959f; fill: none } .all { stroke-dasharray: 4 4 }
.got { stroke: #0969da; stroke-width: 2; fill: none } circle { fill: #0969da }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .got { stroke: #2f81f7 } circle { fill: #2f81f7 } }
</style>
<text y="16">answered a second, by multiples of the peak (%.0f/s) that are asked for; at the end %.0f/s refused, p99 %.0f ms</text>
%s
<path class="got" d="%s"/>
%s</svg>
`, left+width+40, top+height+30, peak, last.refused, last.refusedP99, axes, line.String(), body.String())
}
