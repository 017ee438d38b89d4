package contract

// The patterns say of a string what the parsers in package handlers do; those of
// names and addresses stand beside their parsers. They are written in what the
// regular expressions of Go, Python, Rust and ECMAScript have in common: no \p,
// no \u, no look-ahead.
const (
	tag               = `(W/)?"[^"]*"`
	entityTagsPattern = `^(\*|[ \t,]*` + tag + `([ \t]*,[ \t,]*` + tag + `)*[ \t,]*)$`
	uuidPattern       = `^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`
)
