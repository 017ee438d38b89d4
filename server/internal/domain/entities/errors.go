package entities

import (
	"errors"
	"strings"
)

// Kind says what sort of failure an Error is, whatever layer it comes from.
type Kind int

// The kinds of failure. The zero Kind is a fault of ours.
const (
	Internal Kind = iota
	Invalid
	NotFound
	Conflict
	Unavailable
	PreconditionFailed // the user is not of a version that the write accepts
	KeyReused          // an idempotency key stands for another request
	OutcomeUnknown     // the write may have happened, or happen yet
	Contended          // others kept getting in first
)

// Error is a failure as the layers pass it on: its Kind decides the status, its
// Message may be shown to a client, and the error it wraps belongs in the log.
type Error struct {
	Kind    Kind
	Message string
	Fields  []FieldError // of an Invalid input, what is wrong with each field
	Shards  []string     // that did not answer, of an Unavailable or an OutcomeUnknown
	Err     error
}

// FieldError says what is wrong with one field of an input.
type FieldError struct {
	Field   string
	Message string
}

// Error implements error. It reads like a path, as every wrapped error does.
func (e *Error) Error() string {
	parts := make([]string, 0, len(e.Fields)+2)
	if e.Message != "" {
		parts = append(parts, e.Message)
	}
	for _, f := range e.Fields {
		parts = append(parts, f.Field+" "+f.Message)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap lets errors.Is and errors.As see the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf is the Kind of the first Error in err's chain, or Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// InvalidField is the error of a single bad field.
func InvalidField(field, message string) *Error {
	return &Error{Kind: Invalid, Message: "invalid input", Fields: []FieldError{{field, message}}}
}

// JoinInvalid makes one error of the fields of several, or nil of none.
func JoinInvalid(errs ...error) error {
	joined := &Error{Kind: Invalid, Message: "invalid input"}
	for _, err := range errs {
		var e *Error
		if errors.As(err, &e) {
			joined.Fields = append(joined.Fields, e.Fields...)
		}
	}
	if len(joined.Fields) == 0 {
		return nil
	}
	return joined
}
