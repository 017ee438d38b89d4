package freshness

import "embed"

// Source is the code that lays out the shared memory and says what its words
// mean: programs that share one must have the same.
//
//go:embed clock.go copies.go counts.go incarnation.go lease.go marks.go memory.go proofs.go
var Source embed.FS
