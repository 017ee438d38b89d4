package freshness

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/shmem"
)

const (
	// MaxShards is how many shards a Table has room for.
	MaxShards = 64
	// slotBits: with some 14,000 keys marked at a time (3,000 writes of two keys
	// a second, replicas 2 s behind) 0.3 % of the other keys share a mark.
	slotBits = 22

	magic = 0x6672_6573_6820_0001
)

// memory is what the processes share. It starts as zeroes.
type memory struct {
	magic    atomic.Uint64
	shards   atomic.Uint64
	lifetime atomic.Int64 // of a write, in microseconds
	floor    atomic.Int64
	members  atomic.Uint64 // how many processes have joined, ever
	clock    atomic.Uint64 // a name for the times of this table; never 0
	_        [2]uint64     // a cache line for what never changes, and one for what does
	lease    atomic.Uint64
	_        [7]uint64
	shard    [MaxShards]shardState
	counts   counts
	marks    [1 << slotBits]mark
}

// Table is one process's view of the shared memory. Its methods may be called
// by several goroutines.
type Table struct {
	mem      *memory
	bytes    []byte
	shards   int
	lifetime time.Duration
	floor    instant
	joined   time.Time // when this process did, by its own clock…
	joinedAt instant   // …and by the shared one
}

// Create makes the memory for a server's processes. No write of theirs takes
// longer than the lifetime, from when it is sent to when its statement checks
// its deadline. Other processes Attach to the file, which the caller closes.
//
// It is called when no other process writes for this server any more, but for
// what it has begun: see the floor.
func Create(shards int, lifetime time.Duration) (*Table, *os.File, error) {
	if shards < 1 || shards > MaxShards {
		return nil, nil, fmt.Errorf("freshness of %d shards: want 1 to %d", shards, MaxShards)
	}
	f, err := shmem.Create("freshness", int(unsafe.Sizeof(memory{})))
	if err != nil {
		return nil, nil, err
	}
	mem, bytes, err := mapped(f)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	mem.shards.Store(uint64(shards))
	mem.lifetime.Store(lifetime.Microseconds())
	mem.floor.Store(int64(now().add(lifetime + margin(lifetime))))
	nameClock(mem)
	mem.magic.Store(magic)
	return join(mem, bytes), f, nil
}

// CreatePrivate makes a table for one process alone.
func CreatePrivate(shards int, lifetime time.Duration) (*Table, error) {
	t, f, err := Create(shards, lifetime)
	if err != nil {
		return nil, err
	}
	return t, f.Close()
}

// Attach maps the memory behind a file that Create made, in this process or
// another. The file may be closed then.
func Attach(f *os.File, shards int) (*Table, error) {
	mem, bytes, err := mapped(f)
	if err != nil {
		return nil, err
	}
	t := join(mem, bytes)
	if mem.magic.Load() != magic || t.shards != shards {
		return nil, errors.Join(fmt.Errorf("shared memory for %d shards, want %d", t.shards, shards), t.Close())
	}
	return t, nil
}

// Close gives the memory back. The other processes keep theirs.
func (t *Table) Close() error {
	t.mem = nil
	return shmem.Unmap(t.bytes)
}

func mapped(f *os.File) (*memory, []byte, error) {
	bytes, err := shmem.Map(f, int(unsafe.Sizeof(memory{})))
	if err != nil {
		return nil, nil, err
	}
	return (*memory)(unsafe.Pointer(&bytes[0])), bytes, nil
}

func join(mem *memory, bytes []byte) *Table {
	return &Table{
		mem:      mem,
		bytes:    bytes,
		shards:   int(mem.shards.Load()),
		lifetime: time.Duration(mem.lifetime.Load()) * time.Microsecond,
		floor:    instant(mem.floor.Load()),
		joined:   time.Now(),
		joinedAt: now(),
	}
}

// about is now() without a system call, for what need not be exact to the
// microsecond between processes.
func (t *Table) about() instant { return t.joinedAt.add(time.Since(t.joined)) }
