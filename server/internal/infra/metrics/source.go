package metrics

import "embed"

// Source is the code that lays out the shared memory and says what its words
// mean: programs that share one must have the same.
//
//go:embed histogram.go looks.go memory.go requests.go servers.go state.go
var Source embed.FS
