package prefork

import "embed"

// Source is the code that a master runs, and what it has in common with its
// workers: a program whose Source is another needs a master of its own.
//
//go:embed companion.go master.go prefork.go roll.go worker.go
var Source embed.FS
