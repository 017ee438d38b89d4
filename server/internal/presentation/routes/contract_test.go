package routes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract"
)

func openAPI(t testing.TB) *openapi3.T {
	t.Helper()
	document, err := contract.Load()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := openapi3.NewLoader().LoadFromData(document.JSON)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// TestEveryRouteIsInTheDocument, and nothing else is in it.
func TestEveryRouteIsInTheDocument(t *testing.T) {
	t.Parallel()
	parameter := regexp.MustCompile(`:(\w+)`)
	var routes, documented []string
	for _, r := range setup(t).app.GetRoutes(true) {
		if r.Method == http.MethodHead || r.Method == http.MethodOptions { // what the document says of them, it says of all paths
			continue
		}
		routes = append(routes, r.Method+" "+strings.TrimSuffix(parameter.ReplaceAllString(r.Path, "{$1}"), "/"))
	}
	for path, item := range openAPI(t).Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+strings.TrimSuffix(path, "/"))
		}
	}
	slices.Sort(routes)
	slices.Sort(documented)
	if !slices.Equal(routes, documented) {
		t.Errorf("the routes are\n%s\nthe document has\n%s", strings.Join(routes, "\n"), strings.Join(documented, "\n"))
	}
}

// exampleRequest is what an example of the document sends.
type exampleRequest struct {
	Method, Path string
	Body         any
	headers      []string
}

// exampleAnswer is what the document says to it: nil for an empty body.
type exampleAnswer struct {
	status int
	body   any
}

// TestExamples sends every example in the document and expects the answer that
// has its name. Ids and times are whatever they are.
func TestExamples(t *testing.T) {
	t.Parallel()
	doc := openAPI(t)
	sent, answered := map[string]bool{}, map[string]bool{}
	try := func(name string, req exampleRequest, want exampleAnswer) {
		sent[name] = true
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tryExample(t, req, want)
		})
	}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			requests := exampleRequests(method, path, item, operation)
			for name, want := range exampleAnswers(t, operation) {
				answered[name] = true
				req, ok := requests[name]
				if len(requests) == 0 && want.status == http.StatusOK { // nothing need be sent with it
					req, ok = exampleRequest{Method: method, Path: path}, true
				}
				if ok {
					try(name, req, want)
				}
			}
		}
	}
	for _, response := range doc.Components.Responses {
		for name, want := range exampleAnswers(t, &openapi3.Operation{Responses: openapi3.NewResponses(openapi3.WithStatus(0, response))}) {
			problem, _ := want.body.(map[string]any)
			status, _ := problem["status"].(float64)
			want.status = int(status)
			for _, media := range response.Value.Content {
				if raw, ok := media.Examples[name].Value.Extensions["x-request"]; ok {
					var req exampleRequest
					if err := json.Unmarshal([]byte(asJSON(t, raw)), &req); err != nil {
						t.Fatal(err)
					}
					try(name, req, want)
				}
			}
		}
	}
	for name := range answered {
		if !sent[name] {
			t.Errorf("nothing in the document sends the example %s", name)
		}
	}
}

func tryExample(t *testing.T, req exampleRequest, want exampleAnswer) {
	t.Helper()
	body := ""
	if req.Body != nil {
		body = asJSON(t, req.Body)
	}
	got := setup(t).send(t, req.Method, req.Path, body, req.headers...)
	if got.status != want.status {
		t.Errorf("%s %s: got %d, want %d", req.Method, req.Path, got.status, want.status)
	}
	if want.body == nil {
		return // that it is empty is checked of every answer
	}
	var value any
	if err := json.Unmarshal([]byte(got.body), &value); err != nil {
		t.Fatalf("%s: %v", got.body, err)
	}
	if got, want := anyIDs(asJSON(t, value)), anyIDs(asJSON(t, want.body)); got != want {
		t.Errorf("%s %s:\ngot  %s\nwant %s", req.Method, req.Path, got, want)
	}
}

// exampleRequests are an operation's, by name: with everything that must be sent.
func exampleRequests(method, path string, item *openapi3.PathItem, operation *openapi3.Operation) map[string]exampleRequest {
	type parts struct {
		path    string
		query   url.Values
		headers []string
		body    any
	}
	named := map[string]*parts{}
	part := func(name string) *parts {
		if named[name] == nil {
			named[name] = &parts{path: path, query: url.Values{}}
		}
		return named[name]
	}
	if operation.RequestBody != nil {
		for name, example := range operation.RequestBody.Value.Content.Get("application/json").Examples {
			part(name).body = example.Value.Value
		}
	}
	for _, ref := range slices.Concat(item.Parameters, operation.Parameters) {
		for name, example := range ref.Value.Examples {
			p, text := part(name), fmt.Sprint(example.Value.Value)
			switch ref.Value.In {
			case "path":
				p.path = strings.ReplaceAll(p.path, "{"+ref.Value.Name+"}", url.PathEscape(text))
			case "query":
				p.query.Set(ref.Value.Name, text)
			case "header":
				p.headers = append(p.headers, ref.Value.Name, text)
			}
		}
	}
	requests := map[string]exampleRequest{}
	for name, p := range named {
		if strings.Contains(p.path, "{") || operation.RequestBody != nil && p.body == nil {
			continue // an example of another operation on this path
		}
		requests[name] = exampleRequest{Method: method, Path: strings.TrimSuffix(p.path+"?"+p.query.Encode(), "?"), Body: p.body, headers: p.headers}
	}
	return requests
}

// exampleAnswers are an operation's, by name. Where an answer has no body, an
// example of one of its headers names it.
func exampleAnswers(t testing.TB, operation *openapi3.Operation) map[string]exampleAnswer {
	t.Helper()
	answers := map[string]exampleAnswer{}
	for text, response := range operation.Responses.Map() {
		status, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range response.Value.Headers {
			for name := range header.Value.Examples {
				answers[name] = exampleAnswer{status: status}
			}
		}
		for _, media := range response.Value.Content {
			for name, example := range media.Examples {
				answers[name] = exampleAnswer{status, example.Value.Value}
			}
		}
	}
	return answers
}

func asJSON(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	anyUUID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	anyTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)
)

// anyIDs hides what differs from one run to the next.
func anyIDs(text string) string {
	return anyTime.ReplaceAllString(anyUUID.ReplaceAllString(text, "(id)"), "(time)")
}
