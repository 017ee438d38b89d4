package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/uuid"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// TestTraces has a collector count and compare: each request is a span below its
// caller's, with the service's below it, and what was asked of a shard below that, also
// where one statement was for many. The last ones come when the server stops.
func TestTraces(t *testing.T) {
	testcluster.Open(t)
	var found spans
	receiver := httptest.NewServer(http.HandlerFunc(found.take))
	defer receiver.Close()
	s := start(t, withAdmin, "OTEL_EXPORTER_OTLP_ENDPOINT="+receiver.URL, "OTEL_SERVICE_NAME=tested", "OTEL_BSP_MAX_QUEUE_SIZE=100000")
	admin := "http://" + s.awaitLine(t, func(l logLine) bool { return l.Msg == "admin port" }).Addr
	id := must[user](t, s, "POST", "/api/v1/users", createBody("Ada", "ada@example.com"), 201).ID

	var mu sync.Mutex
	callers := map[string]string{} // the span that each trace's caller was in
	get := func() {
		trace, span := strings.ReplaceAll(uuid.NewString(), "-", ""), strings.ReplaceAll(uuid.NewString(), "-", "")[:16]
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path(id), http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Traceparent", "00-"+trace+"-"+span+"-01")
		res, err := s.client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("got %d", res.StatusCode)
		}
		mu.Lock()
		defer mu.Unlock()
		callers[trace] = span
	}
	await(t, func() error { // until some were asked together
		var clients sync.WaitGroup
		for range 64 {
			clients.Go(get)
		}
		clients.Wait()
		all := scrape(t, admin)["messenger_shard_batch_size"].GetMetric()
		for _, m := range all {
			if h := m.GetHistogram(); h.GetSampleSum() > float64(h.GetSampleCount()) {
				return nil
			}
		}
		return fmt.Errorf("no two requests went together")
	})
	if code := s.stop(t, syscall.SIGTERM); code != 0 {
		t.Fatalf("exit code %d", code)
	}

	found.mu.Lock()
	defer found.mu.Unlock()
	byID, below, together := map[string]*tracev1.Span{}, map[string][]*tracev1.Span{}, 0
	for _, span := range found.all {
		byID[string(span.SpanId)] = span
		below[string(span.ParentSpanId)] = append(below[string(span.ParentSpanId)], span)
	}
	if len(byID) != len(found.all) || found.service != "tested" {
		t.Errorf("%d spans of %q, with %d ids", len(found.all), found.service, len(byID))
	}
	for trace, caller := range callers {
		parent, _ := hex.DecodeString(caller)
		for i, want := range []string{"GET /api/v1/users/:id", "users.ByID", "shard-"} {
			children := below[string(parent)]
			if i == 2 { // where a replica is late, the primary is asked, too
				children = slices.DeleteFunc(children, func(s *tracev1.Span) bool { return attribute(s, "messenger.outcome").GetStringValue() != "answered" })
			}
			if len(children) != 1 || !strings.HasPrefix(children[0].Name, want) || hex.EncodeToString(children[0].TraceId) != trace {
				t.Fatalf("trace %s: below %x are %v, want %s", trace, parent, children, want)
			}
			parent = children[0].SpanId
		}
		asked := byID[string(parent)]
		if len(asked.Events) == 0 || !strings.Contains(asked.Events[len(asked.Events)-1].String(), "FROM users WHERE id") {
			t.Errorf("trace %s: %v does not tell the statement", trace, asked)
		}
		if attribute(asked, "db.operation.batch.size").GetIntValue() > 1 {
			together++
		}
	}
	if together < 2 {
		t.Errorf("%d requests were asked together, want two at least", together)
	}
	t.Logf("%d spans of %d requests, %d of them together", len(found.all), len(callers)+1, together)
}

// TestDeadCollector: it takes connections and never answers, which costs requests nothing.
func TestDeadCollector(t *testing.T) {
	testcluster.Open(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the system takes connections for it
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	s := start(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+silent.Addr().String(), "OTEL_BSP_MAX_QUEUE_SIZE=64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=32")
	id := must[user](t, s, "POST", "/api/v1/users", createBody("Ada", "ada@example.com"), 201).ID
	var (
		clients sync.WaitGroup
		left    atomic.Int64
	)
	left.Store(1000) // with far more spans than may wait
	for range 16 {
		clients.Go(func() {
			for left.Add(-1) >= 0 {
				if status, body, err := s.send("GET", path(id), ""); err != nil || status != 200 {
					t.Errorf("got %d %s, %v", status, body, err)
				}
			}
		})
	}
	clients.Wait()
	if code := s.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.awaitLine(t, func(l logLine) bool { return l.Msg == "traces are not sent" })
}

func attribute(span *tracev1.Span, key string) *common.AnyValue {
	for _, a := range span.Attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return nil
}

// spans are those that a collector was sent.
type spans struct {
	mu      sync.Mutex
	all     []*tracev1.Span
	service string
}

func (s *spans) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range sent.ResourceSpans {
		for _, a := range of.Resource.Attributes {
			if a.Key == "service.name" {
				s.service = a.Value.GetStringValue()
			}
		}
		for _, scope := range of.ScopeSpans {
			s.all = append(s.all, scope.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}
