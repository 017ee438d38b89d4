package metrics

import (
	"os"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// Phase is where a worker is in its life.
type Phase uint32

// The phases.
const (
	Starting Phase = iota
	Serving
	Draining
)

// state is how a worker is, as far as it has told. It is the owner's: while workers
// are rolled, the successor's.
type state struct {
	owner atomic.Uint64 // its process; 0 where there is none
	at    atomic.Int64  // when it told last, in nanoseconds of Unix time
	phase atomic.Uint32
	pprof atomic.Uint32 // the port on loopback where it can be looked into; 0 for none

	connections atomic.Int64 // of clients

	goroutines, heap, memory, limit atomic.Uint64
	collections                     atomic.Uint64
	collecting                      atomic.Uint64 // nanoseconds of processors, since its start

	servers [maxShards][roles]serverState
}

// told tells whether there is a worker that has said how it is.
func (s *state) told() bool { return s.owner.Load() != 0 && s.at.Load() != 0 }

// serverState is a server of a shard as a worker sees it.
type serverState struct {
	known             atomic.Bool
	shut              atomic.Bool
	inside, room      atomic.Int64
	open, busy, limit atomic.Int64
}

// ServerState is a server of a shard as a worker sees it.
type ServerState struct {
	Shard int
	Role  Role
	Shut  bool // it does not answer, and is not asked
	// Inside is how many statements wait for it, or for their turn; Room is
	// how many may.
	Inside, Room int64
	// Open and Busy are connections, of at most Limit.
	Open, Busy, Limit int64
}

// Join says that this process is about to be the slot's worker. Whoever is there
// remains the one that tells how the worker is.
func (w *Worker) Join() { w.slot.state.owner.CompareAndSwap(0, uint64(os.Getpid())) }

// TakeOver makes this process the one that tells how the worker is, and that is
// looked into at the port on loopback; 0 for nowhere.
func (w *Worker) TakeOver(pprof int) {
	s := &w.slot.state
	s.pprof.Store(uint32(pprof))
	s.owner.Store(uint64(os.Getpid()))
}

// runtimeNames are what a worker tells of its Go runtime.
var runtimeNames = []string{
	"/sched/goroutines:goroutines", "/memory/classes/heap/objects:bytes", "/memory/classes/total:bytes", "/gc/gomemlimit:bytes",
	"/gc/cycles/total:gc-cycles", "/cpu/classes/gc/total:cpu-seconds",
}

// Tell puts the worker's state where others see it, unless another process does.
func (w *Worker) Tell(phase Phase, connections int, servers []ServerState) {
	s := &w.slot.state
	if s.owner.Load() != uint64(os.Getpid()) {
		return
	}
	s.phase.Store(uint32(phase))
	s.connections.Store(int64(connections))
	r := runtimeState()
	s.goroutines.Store(r.Goroutines)
	s.heap.Store(r.Heap)
	s.memory.Store(r.Memory)
	s.limit.Store(r.Limit)
	s.collections.Store(r.Collections)
	s.collecting.Store(uint64(r.Collecting))
	for _, told := range servers {
		at := &s.servers[told.Shard][told.Role]
		at.shut.Store(told.Shut)
		at.inside.Store(told.Inside)
		at.room.Store(told.Room)
		at.open.Store(told.Open)
		at.busy.Store(told.Busy)
		at.limit.Store(told.Limit)
		at.known.Store(true)
	}
	s.at.Store(time.Now().UnixNano())
}

// Runtime is the state of a process's Go runtime.
type Runtime struct {
	Goroutines, Heap, Memory, Limit uint64
	Collections                     uint64
	Collecting                      time.Duration // of processors
}

// runtimeState is that of this process.
func runtimeState() Runtime {
	samples := make([]metrics.Sample, len(runtimeNames))
	for i, name := range runtimeNames {
		samples[i].Name = name
	}
	metrics.Read(samples)
	return Runtime{
		Goroutines: samples[0].Value.Uint64(), Heap: samples[1].Value.Uint64(), Memory: samples[2].Value.Uint64(), Limit: samples[3].Value.Uint64(),
		Collections: samples[4].Value.Uint64(), Collecting: time.Duration(samples[5].Value.Float64() * float64(time.Second)),
	}
}
