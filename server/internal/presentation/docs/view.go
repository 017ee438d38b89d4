package docs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/problems"
)

// section is what the page shows of a tag.
type section struct {
	Name, Description string
	Operations        []operation
}

// operation is what the page shows of one, and lets one try.
type operation struct {
	ID, Method, Path, Summary, Description string
	Parameters                             []input
	Body                                   []field // nil where there is none
	Examples                               []example
	Answers                                []answer
}

// input is a parameter with a field to try it.
type input struct {
	Name, In, Description, Type string
	Required                    bool
	Choices                     []string // where there is nothing else to send
}

// field is a member of a body, wherever it is inside of it.
type field struct {
	Name, Type, Description string
	Required                bool
}

// example is a request that can be sent: parameters by name, and a body.
type example struct {
	Summary string
	Values  string // JSON: {"limit": "1", …, "body": "…"}
	Body    string
}

// answer is what a status stands for.
type answer struct {
	Status      string
	Description string
	Problem     bool // it has the body of all problems, and nothing else to tell
	Media       string
	Headers     []field
	Fields      []field
	Examples    []shown
}

// shown is an example of a body.
type shown struct{ Name, Text string }

func view(doc document) ([]section, error) {
	sections := make([]section, 0, len(doc.Tags))
	for _, tag := range doc.Tags {
		s := section{Name: tag.Name, Description: tag.Description}
		for _, path := range doc.Paths {
			for _, m := range []struct {
				method string
				object *operationObject
			}{{"POST", path.Value.Post}, {"GET", path.Value.Get}, {"PUT", path.Value.Put}, {"DELETE", path.Value.Delete}} {
				if m.object == nil || !slices.Contains(m.object.Tags, tag.Name) {
					continue
				}
				op, err := viewOperation(m.method, path, m.object)
				if err != nil {
					return nil, fmt.Errorf("%s %s: %w", m.method, path.Name, err)
				}
				s.Operations = append(s.Operations, op)
			}
		}
		sections = append(sections, s)
	}
	return sections, nil
}

func viewOperation(method string, path member[pathItem], object *operationObject) (operation, error) {
	op := operation{ID: object.OperationID, Method: method, Path: path.Name, Summary: object.Summary, Description: object.Description}
	parameters := slices.Concat(path.Value.Parameters, object.Parameters)
	for _, p := range parameters {
		in := input{Name: p.Name, In: p.In, Description: cmp.Or(p.Description, p.Schema.Description), Required: p.Required, Choices: p.Schema.Enum}
		if in.Choices == nil {
			in.Type = p.Schema.words()
		}
		op.Parameters = append(op.Parameters, in)
	}
	body, hasBody := object.RequestBody.Content.find("application/json")
	if hasBody {
		op.Body = body.Schema.fields("")
	}
	var err error
	if op.Answers, err = viewAnswers(object.Responses); err != nil {
		return operation{}, err
	}
	for _, name := range exampleNames(parameters, body, object.Responses, hasBody) {
		e, err := viewExample(name, parameters, body)
		if err != nil {
			return operation{}, err
		}
		op.Examples = append(op.Examples, e)
	}
	return op, nil
}

// exampleNames are those that stand for a whole request and have an answer.
func exampleNames(parameters []parameter, body mediaType, responses ordered[response], needsBody bool) (names []string) {
	add := func(from ordered[exampleObject]) {
		for _, e := range from {
			_, inBody := body.Examples.find(e.Name)
			if !slices.Contains(names, e.Name) && answered(responses, e.Name) && (inBody || !needsBody) {
				names = append(names, e.Name)
			}
		}
	}
	add(body.Examples)
	for _, p := range parameters {
		add(p.Examples)
	}
	return names
}

func answered(responses ordered[response], name string) bool {
	for _, r := range responses {
		for _, media := range r.Value.Content {
			if _, ok := media.Value.Examples.find(name); ok {
				return true
			}
		}
		for _, header := range r.Value.Headers {
			if _, ok := header.Value.Examples.find(name); ok {
				return true
			}
		}
	}
	return false
}

func viewExample(name string, parameters []parameter, body mediaType) (example, error) {
	e := example{Summary: strings.ReplaceAll(name, "_", " ")}
	values := map[string]string{}
	for _, p := range parameters {
		if given, ok := p.Examples.find(name); ok {
			values[p.Name] = given.Value.Value
		}
	}
	if given, ok := body.Examples.find(name); ok {
		e.Summary = cmp.Or(given.Summary, e.Summary)
		text, err := indented(&given.Value)
		if err != nil {
			return example{}, err
		}
		e.Body = text
		values["body"] = text
	}
	text, err := json.Marshal(values)
	e.Values = string(text)
	return e, err
}

func viewAnswers(responses ordered[response]) ([]answer, error) {
	var all []answer
	for _, r := range responses {
		a := answer{Status: r.Name, Description: r.Value.Description}
		if _, problem := r.Value.Content.find(problems.MediaType); problem && len(r.Value.Content) == 1 {
			a.Problem = true
			all = append(all, a)
			continue
		}
		for _, h := range r.Value.Headers {
			a.Headers = append(a.Headers, field{Name: h.Name, Type: h.Value.Schema.words(), Description: cmp.Or(h.Value.Description, h.Value.Schema.Description), Required: h.Value.Required})
		}
		var media []string
		for _, content := range r.Value.Content {
			media = append(media, content.Name)
			if len(a.Fields) == 0 {
				a.Fields = content.Value.Schema.fields("")
			}
			for _, e := range content.Value.Examples {
				text, err := indented(&e.Value.Value)
				if err != nil {
					return nil, err
				}
				a.Examples = append(a.Examples, shown{Name: cmp.Or(e.Value.Summary, strings.ReplaceAll(e.Name, "_", " ")), Text: text})
			}
		}
		a.Media = strings.Join(media, ", ")
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b answer) int { return cmp.Compare(a.Status, b.Status) })
	return all, nil
}

// indented is a value as JSON on several lines, members in their order.
func indented(value *yaml.Node) (string, error) {
	text, err := contract.JSON(value)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = json.Indent(&out, text, "", "  ")
	return out.String(), err
}
