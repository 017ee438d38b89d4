// Package metrics counts what the workers of a server do, in memory that they share
// and that outlives each of them, and tells Prometheus the sums.
//
// Each worker has a slot of its own, so that counting is an addition to a cache line
// that no other processor writes: it takes nanoseconds and allocates nothing. A
// worker's successor goes on where it stopped. So nothing that was counted is lost
// with a process, and a request is counted before it is answered.
package metrics

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/shmem"
)

const (
	// maxShards is how many shards a slot has room for. Pages that nobody touches cost nothing.
	maxShards = 64
	magic     = 0x6d65_7472_6963_0001
)

// header is a cache line, and all of it that never changes.
type header struct {
	magic  atomic.Uint64
	slots  atomic.Uint64
	shards atomic.Uint64
	_      [5]uint64
}

// slot is what one worker and those before it have counted, and how the one that is
// there is now.
type slot struct {
	starts atomic.Uint64 // the master's, as is the next
	deaths atomic.Uint64
	_      [6]uint64

	requests [maxRoutes][len(methods)][maxStatuses]atomic.Uint64
	took     [maxRoutes][len(methods)]histogram
	servers  [maxShards][roles]server
	cache    [cacheOutcomes]atomic.Uint64
	joined   atomic.Uint64
	limited  [limitOutcomes]atomic.Uint64

	state state
	_     [64]byte // between this slot's last line and the next one's first
}

// server is what was asked of one server of a shard.
type server struct {
	outcomes [Outcomes]atomic.Uint64
	took     histogram
	waited   histogram
	together batches
}

// Memory is one process's view of the shared memory.
type Memory struct {
	header *header
	slots  []slot
	shards int
	bytes  []byte
}

func sizeOf(slots int) int {
	return int(unsafe.Sizeof(header{}) + uintptr(slots)*unsafe.Sizeof(slot{}))
}

// Create makes the memory for so many workers. Other processes Attach to the file,
// which the caller closes.
func Create(workers, shards int) (*Memory, *os.File, error) {
	if workers < 1 || shards < 1 || shards > maxShards {
		return nil, nil, fmt.Errorf("metrics of %d workers and %d shards: want at least one of each, and at most %d shards", workers, shards, maxShards)
	}
	f, err := shmem.Create("metrics", sizeOf(workers))
	if err != nil {
		return nil, nil, err
	}
	bytes, err := shmem.Map(f, sizeOf(workers))
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	m := view(bytes, workers, shards)
	m.header.slots.Store(uint64(workers))
	m.header.shards.Store(uint64(shards))
	m.header.magic.Store(magic)
	return m, f, nil
}

// CreatePrivate makes memory for one worker, in one process alone.
func CreatePrivate(shards int) (*Memory, error) {
	m, f, err := Create(1, shards)
	if err != nil {
		return nil, err
	}
	return m, f.Close()
}

// Attach maps the memory behind a file that Create made, in this process or another.
// The file may be closed then.
func Attach(f *os.File, workers, shards int) (*Memory, error) {
	bytes, err := shmem.Map(f, sizeOf(workers))
	if err != nil {
		return nil, err
	}
	m := view(bytes, workers, shards)
	if m.header.magic.Load() != magic || m.header.slots.Load() != uint64(workers) || m.header.shards.Load() != uint64(shards) {
		return nil, errors.Join(fmt.Errorf("metrics: not the memory of %d workers and %d shards", workers, shards), m.Close())
	}
	return m, nil
}

func view(bytes []byte, workers, shards int) *Memory {
	start := unsafe.Pointer(&bytes[0])
	return &Memory{
		header: (*header)(start),
		slots:  unsafe.Slice((*slot)(unsafe.Add(start, unsafe.Sizeof(header{}))), workers),
		shards: shards,
		bytes:  bytes,
	}
}

// Close gives the memory back. The other processes keep theirs.
func (m *Memory) Close() error {
	m.header, m.slots = nil, nil
	return shmem.Unmap(m.bytes)
}

// Started counts a worker that the master has started in a slot.
func (m *Memory) Started(slot int) { m.slots[slot].starts.Add(1) }

// Died counts a worker that ended without having been told to. What it said of
// itself no longer holds, not of its successor either.
func (m *Memory) Died(slot int) {
	s := &m.slots[slot]
	s.deaths.Add(1)
	s.state.owner.Store(0)
	s.state.at.Store(0)
	s.state.pprof.Store(0)
}
