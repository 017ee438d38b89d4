package contracttest

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Check says what of an answer is not as the contract says, nil if all is.
func (c *Contract) Check(req *http.Request, res *http.Response, body []byte) error {
	response, err := c.response(req, res)
	if err == nil {
		err = errors.Join(c.checkHeaders(response, res.Header), c.checkBody(response, req.Method, res.Header, body))
	}
	if err != nil {
		return fmt.Errorf("%s %s: this %d is outside the contract: %w\n%v\n%s", req.Method, req.URL.RequestURI(), res.StatusCode, err, res.Header, body[:min(len(body), 1000)])
	}
	return nil
}

// response returns what the document says of answers of this status.
func (c *Contract) response(req *http.Request, res *http.Response) (place, error) {
	method := req.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	item, known := c.match(req.URL.EscapedPath())
	if operation, ok := c.at(item, strings.ToLower(method)); ok {
		if response, ok := c.at(operation, "responses", strconv.Itoa(res.StatusCode)); ok {
			return response, nil
		}
		return place{}, errors.New("the operation has no such status")
	}
	expected := []int{
		http.StatusBadRequest, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusRequestHeaderFieldsTooLarge, http.StatusInternalServerError, http.StatusNotImplemented, http.StatusServiceUnavailable,
		http.StatusHTTPVersionNotSupported,
	}
	name := fmt.Sprintf("Problem%d", res.StatusCode)
	switch {
	case method == http.MethodOptions && res.StatusCode == http.StatusNoContent:
		expected, name = []int{http.StatusNoContent}, "Options"
		if res.Header.Get("Allow") == "" && res.Header.Get("Access-Control-Allow-Methods") == "" {
			return place{}, errors.New("the header Allow is missing")
		}
	case !known:
		expected = append(expected, http.StatusNotFound)
	default:
		expected = append(expected, http.StatusMethodNotAllowed)
	}
	if names := res.Header.Get("Allow"); known && names != "" && !sameMethods(strings.Split(names, ", "), methods(item)) {
		return place{}, fmt.Errorf("the header Allow must have exactly %v", methods(item))
	}
	response, ok := c.at(place{value: c.root}, "components", "responses", name)
	if !ok || !slices.Contains(expected, res.StatusCode) {
		return place{}, fmt.Errorf("expected %v", expected)
	}
	return response, nil
}

func sameMethods(got, want []string) bool {
	slices.Sort(got)
	slices.Sort(want)
	return slices.Equal(got, want)
}

// transport are the headers of HTTP itself, and those that CORS adds where it is set up.
var transport = []string{
	"Date", "Server", "Connection", "Content-Length", "Content-Type", "Transfer-Encoding", "Vary",
	"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age",
}

func (c *Contract) checkHeaders(response place, got http.Header) error {
	var errs []error
	declared, _ := c.at(response, "headers")
	known := slices.Clone(transport)
	for name := range declared.value {
		known = append(known, http.CanonicalHeaderKey(name))
		header, _ := c.at(declared, name)
		values := got.Values(name)
		if len(values) == 0 {
			if header.value["required"] == true {
				errs = append(errs, fmt.Errorf("the header %s is missing", name))
			}
			continue
		}
		schema, ok := c.at(header, "schema")
		if !ok {
			errs = append(errs, fmt.Errorf("the document has no schema for the header %s", name))
			continue
		}
		var value any = strings.Join(values, ", ")
		if number, err := strconv.Atoi(values[0]); err == nil && schema.value["type"] == "integer" {
			value = number
		}
		if err := c.validate(schema, value); err != nil {
			errs = append(errs, fmt.Errorf("the header %s: %w", name, err))
		}
	}
	for name := range got {
		if !slices.Contains(known, name) {
			errs = append(errs, fmt.Errorf("the header %s is not in the document", name))
		}
	}
	return errors.Join(errs...)
}

func (c *Contract) checkBody(response place, method string, header http.Header, body []byte) error {
	content, ok := c.at(response, "content")
	if method == http.MethodHead || !ok {
		if len(body) > 0 {
			return errors.New("the body must be empty")
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("the Content-Type %q: %w", header.Get("Content-Type"), err)
	}
	schema, ok := c.at(content, media, "schema")
	if !ok {
		return fmt.Errorf("the Content-Type %s is not in the document", media)
	}
	var value any = string(body)
	if strings.HasSuffix(media, "json") {
		if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
			return fmt.Errorf("the body is no JSON: %w", err)
		}
	}
	return c.validate(schema, value)
}

// Validate says what of a value is not as the document's schema at the pointer says.
func (c *Contract) Validate(pointer string, value any) error {
	return c.validate(place{pointer: pointer}, value)
}

func (c *Contract) validate(at place, value any) error {
	schema, err := c.schema(at)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
