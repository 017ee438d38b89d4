package live

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// told are two shards and two workers that are well, as Prometheus is told.
const told = `
messenger_ring_share_ratio{shard="shard-0"} 0.6
messenger_ring_share_ratio{shard="shard-1"} 0.4
messenger_shard_users{shard="shard-0"} 1200
messenger_shard_users{shard="shard-1"} 800
messenger_replica_lag_seconds{shard="shard-0"} 0.2
messenger_replica_serves{shard="shard-0"} 1
messenger_replica_serves{shard="shard-1"} 1
messenger_pooler_up{shard="shard-0"} 1
messenger_pooler_up{shard="shard-1"} 1
messenger_server_up{server="shard-0",shard="shard-0"} 1
messenger_server_up{server="shard-0-replica",shard="shard-0"} 1
messenger_server_up{server="shard-1",shard="shard-1"} 1
messenger_server_up{server="shard-1-replica",shard="shard-1"} 1
messenger_server_role{role="primary",server="shard-0",shard="shard-0"} 1
messenger_server_role{role="replica",server="shard-0-replica",shard="shard-0"} 1
messenger_server_role{role="replica",server="shard-1",shard="shard-1"} 1
messenger_server_role{role="primary",server="shard-1-replica",shard="shard-1"} 1
messenger_slot_active{shard="shard-0"} 1
messenger_slot_lost{shard="shard-0"} 0
messenger_slot_retained_bytes{shard="shard-0"} 100
messenger_slot_retained_limit_bytes{shard="shard-0"} 1000
messenger_pooler_wait_seconds{shard="shard-0"} 0
messenger_shard_gate_shut_workers{role="primary",shard="shard-0"} 0
messenger_shard_gate_shut_workers{role="replica",shard="shard-0"} 0
messenger_shard_pool_connections{role="primary",shard="shard-0",state="busy"} 1
messenger_shard_pool_connections_limit{role="primary",shard="shard-0"} 10
messenger_shard_queries_total{outcome="answered",role="primary",shard="shard-0"} 100
messenger_shard_queries_total{outcome="queue_full",role="primary",shard="shard-0"} 0
messenger_worker_starts_total{worker="0"} 1
messenger_worker_starts_total{worker="1"} 1
messenger_worker_deaths_total{worker="0"} 0
messenger_worker_deaths_total{worker="1"} 0
messenger_worker_requests_total{worker="0"} 1000
messenger_worker_requests_total{worker="1"} 500
messenger_worker_errors_total{worker="0"} 0
messenger_worker_errors_total{worker="1"} 0
messenger_worker_goroutines{worker="0"} 20
messenger_worker_goroutines{worker="1"} 20
messenger_worker_phase{phase="serving",worker="0"} 1
messenger_worker_phase{phase="serving",worker="1"} 1
`

// change replaces metrics' values in told, by the beginnings of their lines.
func change(t testing.TB, pairs ...string) string {
	t.Helper()
	text := told
	for i := 0; i < len(pairs); i += 2 {
		line := regexp.MustCompile(`(?m)^messenger_` + regexp.QuoteMeta(pairs[i]) + ` .*$`)
		if !line.MatchString(text) {
			t.Fatalf("%s is not told", pairs[i])
		}
		text = line.ReplaceAllString(text, "messenger_"+pairs[i]+" "+pairs[i+1])
	}
	return text
}

func gather(t testing.TB, text string) []*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	list := make([]*dto.MetricFamily, 0, len(found))
	for _, family := range found {
		for _, m := range family.GetMetric() { // a text without types tells of neither counters nor gauges
			m.Gauge = &dto.Gauge{Value: m.GetUntyped().Value}
		}
		list = append(list, family)
	}
	return list
}

// TestTroubles: each is told, and nothing else.
func TestTroubles(t *testing.T) {
	t.Parallel()
	const (
		writesRefused = "Its writes are refused (503). Its reads go to the replica, as far as that is known to be up to date. The other shards work on."
		fromPrimary   = "Its reads go to the primary: nothing fails."
	)
	for _, c := range []struct {
		name    string
		changed []string
		want    string // "severity: what. works"; empty for none
	}{
		{"all is well", nil, ""},
		{"replica away", []string{`server_up{server="shard-0-replica",shard="shard-0"}`, "0"}, "warning: shard-0’s replica does not answer. " + fromPrimary},
		{"primary away", []string{`server_up{server="shard-0",shard="shard-0"}`, "0", `replica_serves{shard="shard-0"}`, "0"}, "fault: shard-0’s primary does not answer. " + writesRefused},
		{"primary away after a failover", []string{`server_up{server="shard-1-replica",shard="shard-1"}`, "0"}, "fault: shard-1’s primary does not answer. " + writesRefused},
		{
			"shard away",
			[]string{`server_up{server="shard-1",shard="shard-1"}`, "0", `server_up{server="shard-1-replica",shard="shard-1"}`, "0"},
			"fault: No database of shard-1 answers. Its users, 40.0 % of all, can be neither read nor changed (503). The other shards work on.",
		},
		{"pooler away", []string{`pooler_up{shard="shard-0"}`, "0"}, "fault: shard-0’s PgBouncer does not answer. " + writesRefused},
		{"no primary", []string{`server_role{role="primary",server="shard-1-replica",shard="shard-1"}`, "0\nmessenger_server_role{role=\"replica\",server=\"shard-1-replica\",shard=\"shard-1\"} 1"}, "fault: shard-1 has no primary. " + writesRefused},
		{"behind", []string{`replica_serves{shard="shard-0"}`, "0", `replica_lag_seconds{shard="shard-0"}`, "7.25"}, "warning: shard-0’s replica is too far behind. It is 7.2 s behind: its reads go to the primary until it has caught up. Nothing fails."},
		{"lost", []string{`slot_lost{shard="shard-0"}`, "1"}, "fault: shard-0’s replica is lost. Its reads go to the primary. What it needs is no longer kept: it has to be cloned again (make up)."},
		{"no stream", []string{`slot_active{shard="shard-0"}`, "0"}, "warning: shard-0’s replica does not stream from its primary. It is 200 ms behind: too far behind, its reads go to the primary. The log it needs is kept for it meanwhile."},
		{"much kept", []string{`slot_retained_bytes{shard="shard-0"}`, "501"}, "warning: shard-0 keeps much log for its replica. 501 B of at most 1000 B are kept. Beyond that, the replica has to be cloned again."},
		{"some kept", []string{`slot_retained_bytes{shard="shard-0"}`, "499"}, ""},
		{
			"gates",
			[]string{`shard_gate_shut_workers{role="replica",shard="shard-0"}`, "2"},
			"warning: shard-0’s replica is not asked by all workers. It answers this port, but did not answer 2 of 2 workers: these refuse or go elsewhere, and look again all the time.",
		},
		{"pool", []string{`shard_pool_connections{role="primary",shard="shard-0",state="busy"}`, "9"}, "warning: Connections to shard-0’s primary are nearly all busy. 9 of 10. Requests wait for their turn; if it lasts, some are refused."},
		{"refused", []string{`shard_queries_total{outcome="queue_full",role="primary",shard="shard-0"}`, "50"}, "fault: shard-0’s primary is asked for more than it can do. 100 requests a second are refused (503), so that the others are answered in time."},
		{"errors", []string{`worker_requests_total{worker="1"}`, "600", `worker_errors_total{worker="1"}`, "2"}, "fault: Requests fail. 4.0 of 200 requests a second are answered with a status of 500 or higher."},
		{"an error", []string{`worker_requests_total{worker="1"}`, "700", `worker_errors_total{worker="1"}`, "2"}, ""},
		{"worker", []string{`worker_phase{phase="serving",worker="1"}`, "0\nmessenger_worker_phase{phase=\"silent\",worker=\"1\"} 1"}, "fault: Worker 1 tells nothing. It hangs or has died, and is replaced then; its requests were cut or wait. 1 of 2 workers serve."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var h history
			now := time.Now()
			h.add(read(gather(t, told), now))
			h.add(read(gather(t, change(t, c.changed...)), now.Add(watched)))
			var got []string
			for _, one := range h.troubles() {
				got = append(got, fmt.Sprintf("%s: %s. %s", one.severity, one.what, one.works))
			}
			if text := strings.Join(got, "\n"); text != c.want {
				t.Errorf("got\n%s\nwant\n%s", text, c.want)
			}
		})
	}
}

// TestTracker: a trouble has its beginning as long as it lasts, and then its end.
func TestTracker(t *testing.T) {
	t.Parallel()
	var k tracker
	begin := time.Now()
	at := func(i int) time.Time { return begin.Add(time.Duration(i) * time.Second) }
	k.see(at(0), []trouble{{warning, "a", ""}})
	k.see(at(1), []trouble{{fault, "b", ""}, {warning, "a", "more"}})
	if got := k.present; len(got) != 2 || k.worst() != fault || !got[1].since.Equal(at(0)) || got[1].works != "more" || !got[0].since.Equal(at(1)) {
		t.Errorf("present: %+v", got)
	}
	k.see(at(2), nil)
	if len(k.present) != 0 || k.worst() != fine || len(k.past) != 2 || !k.past[1].since.Equal(at(1)) || !k.past[0].until.Equal(at(2)) {
		t.Errorf("present %+v, past %+v", k.present, k.past)
	}
	for i := range 100 {
		k.see(at(3+2*i), []trouble{{warning, fmt.Sprint(i), ""}})
		k.see(at(4+2*i), nil)
	}
	if len(k.past) != maxPast || k.past[0].what != "99" {
		t.Errorf("%d in the past, the latest %+v", len(k.past), k.past[0])
	}
}

// TestHistoryIsBounded: rates are of the last seconds, charts of the last minutes, whoever looks how often.
func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	var h history
	now, well := time.Now(), gather(t, told)
	for i := range 1000 {
		for _, after := range []time.Duration{0, time.Millisecond} { // somebody has just come
			m := read(well, now.Add(after))
			m.workers[0].done = float64(1000 + 10*i) // 20 a second
			h.add(m)
		}
		now = now.Add(watched)
	}
	if got := h.total().rate; math.Abs(got-20) > 0.1 {
		t.Errorf("%v requests a second, want 20", got)
	}
	if over := h.newest().at.Sub(h.before().at); over < span || over > span+unwatched {
		t.Errorf("rates over %s, want about %s", over, span)
	}
	if h.all.rate.known < 120 || h.all.rate.known > points {
		t.Errorf("%d points after 500 s, want one every %s and at most %d", h.all.rate.known, step, points)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	h := histogram{{0.001, 50}, {0.002, 90}, {0.004, 100}, {math.Inf(1), 100}}
	for q, want := range map[float64]float64{0.5: 0.001, 0.7: 0.0015, 0.99: 0.0038} {
		if got := h.quantile(q); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: got %v, want %v", q, got, want)
		}
	}
	if got := (histogram{{0.001, 1}, {math.Inf(1), 2}}).quantile(0.99); got != 0.001 {
		t.Errorf("past the last bound: %v", got)
	}
	if got := h.since(h).quantile(0.5); !math.IsNaN(got) {
		t.Errorf("of none: %v", got)
	}
	// So it is with the servers of a shard when nobody has asked them and the only worker dies.
	if got := histogram(nil).since(h).quantile(0.5); !math.IsNaN(got) {
		t.Errorf("of what is no longer told: %v", got)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		rate(0): "0", rate(0.44): "0.4", rate(1234567): "1,234,567", rate(math.NaN()): none, count(999): "999",
		seconds(0.00042): "0.4 ms", seconds(0.25): "250 ms", seconds(2.5): "2.5 s", percent(0.2): "20.0 %",
		lasted(59 * time.Second): "59 s", lasted(125 * time.Second): "2 min 5 s", lasted(130 * time.Minute): "2 h 10 min",
		size(512): "512 B", size(5.5 * 1024 * 1024): "5.5 MiB", several(1, "fault"): "1 fault", several(2, "fault"): "2 faults",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestPage looks at what a browser gets: nothing from elsewhere, and nothing that the policy forbids.
func TestPage(t *testing.T) {
	t.Parallel()
	gone := change(t, `server_up{server="shard-0-replica",shard="shard-0"}`, "0")
	texts := []string{told, gone, told, gone} // there is something that is, and that was
	i := 0
	now := time.Now()
	p := New(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		i++
		return gather(t, texts[i-1]), nil
	}), func() time.Time {
		now = now.Add(time.Second)
		return now
	})
	var body string
	for range texts {
		w := httptest.NewRecorder()
		p.ServePage(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		if body = w.Body.String(); w.Code != http.StatusOK || w.Header().Get("Content-Security-Policy") != Policy {
			t.Fatalf("%d %v\n%s", w.Code, w.Header(), body)
		}
	}
	for _, want := range []string{"1 warning: shard-0’s replica does not answer", "What was wrong", `shard-0 60.0 %`, "</html>"} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if found := regexp.MustCompile(`(?i)(src|href|action)="(?:[a-z]+:[^,]|//)[^"]*"|\burl\(|@import| on\w+="| style="|%!`).FindString(body); found != "" {
		t.Errorf("the page has %s", found)
	}
	if found := regexp.MustCompile(`\b(NaN|Inf)\b`).FindString(body); found != "" {
		t.Errorf("the page says %s", found)
	}
	for tag, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
		_, rest, _ := strings.Cut(body, "<"+tag+">")
		content, _, found := strings.Cut(rest, "</"+tag+">")
		if want := directive + " 'sha256-" + hash(content) + "'"; !found || !strings.Contains(Policy, want) {
			t.Errorf("the policy %q lacks %q", Policy, want)
		}
	}
}

// TestEvents: who watches is told what changes, who comes too late is refused, and who leaves is forgotten.
func TestEvents(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := New(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return gather(t, told), nil }), time.Now)
	go p.Run(ctx)
	server := httptest.NewServer(http.HandlerFunc(p.ServeEvents))
	defer server.Close()
	watching, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(watching, http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	times := map[string]bool{}
	for lines := bufio.NewScanner(res.Body); len(times) < 2 && lines.Scan(); {
		switch text := lines.Text(); {
		case strings.HasPrefix(text, "id: "):
			if text != "id: "+Build {
				t.Errorf("got %q, want the page's build", text)
			}
		case strings.Contains(text, "as of"):
			times[text] = true
		case text != "" && !strings.HasPrefix(text, "data: "):
			t.Errorf("a line of the stream is %q", text)
		}
	}
	if len(times) < 2 {
		t.Error("the stream ended")
	}
	for range maxWatchers - 1 {
		if p.enter() == nil {
			t.Fatal("refused too early")
		}
	}
	if p.enter() != nil {
		t.Error("one more than may watch was let in")
	}
	leave()
	for p.enter() == nil {
		if t.Context().Err() != nil {
			t.Fatal("who left was not forgotten")
		}
	}
}
