// Package problems knows every way in which the API says no: the types of its
// RFC 9457 problems, the body they are sent in, and the pages that explain them.
package problems

// MediaType is what the body of a problem is sent as.
const MediaType = "application/problem+json"

// Path is where the types are explained, each under its slug.
const Path = "/problems/"

// Type is one kind of problem: what a client can rely on, whatever the detail
// of a single one says.
type Type struct {
	Slug    string // its page's name, and so its identity: it never changes
	Status  int
	Title   string
	Meaning string // what has happened; this and Advice are Markdown, with `code` and nothing else
	Advice  string // what the client should do
}

// URL identifies the type in a problem's body and is where it is explained.
func (t *Type) URL() string { return Path + t.Slug }

// Because returns a problem of the type. The detail is for the client: words of
// ours, never those of a parser, a driver or the request.
func (t *Type) Because(detail string) *Error { return &Error{Type: t, Detail: detail} }

// Error is a failure that the layers below HTTP know nothing of.
type Error struct {
	Type   *Type
	Detail string
}

// Error implements error.
func (e *Error) Error() string { return e.Detail }

// Body is a problem as it is sent (RFC 9457).
type Body struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty"`
	Instance  string       `json:"instance,omitempty"`   // this one occurrence, in the log too
	RequestID string       `json:"request_id,omitempty"` // as in X-Request-ID
	Shards    []string     `json:"shards,omitempty"`     // those that did not answer
	Errors    []FieldError `json:"errors,omitempty"`
}

// FieldError says what is wrong with one field of the body, one parameter or
// one header.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}
