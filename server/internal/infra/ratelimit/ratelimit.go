// Package ratelimit counts the requests of each client over all processes of a
// server, exactly, in memory of a fixed size.
//
// # What is kept
//
// A client's address, encrypted, says to which bucket it belongs and what its id
// is there. A bucket's clients have their windows in common, one after another
// without a gap: they begin at other times in other buckets. So the bucket is a list that
// begins anew with each window: a client takes the first slot whose owner is of an
// earlier window, and those behind are free, too. Everybody finds the same first
// free slot, only one can take it, and none is given up before the window ends: a
// client never has two.
//
// A slot is two words, the owner and the count. Each says of which window it is,
// and whoever finds a later one than its own looks at the clock again. So no
// process ever waits for another, and one that is stopped or dies at any point
// leaves nothing behind that the next window does not correct.
//
// # Many clients
//
// The last slot of a bucket is for all who find no other free: they have one count
// together. So somebody with very many addresses (of IPv6 a whole /64 counts as one)
// can neither use up the memory nor switch the limit off. What is left to them is
// to have clients that come anew share a count with them: of 65,000 clients in a
// window one in 700,000 has to, of 250,000 one in nine. Clients that have a slot of their
// own keep it as long as the window. Who belongs to which bucket nobody can tell
// who does not know the key, which is drawn at the start.
package ratelimit

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/shmem"
)

const (
	bucketBits = 14
	slots      = 16 // of a bucket; the last is for all who find no other
	idBits     = 44 // an owner's other bits are its window's
	magic      = 0x7261_7465_6c69_0001
)

// A slot is one client's. 57 bits tell clients apart, of the bucket and of the id:
// of 100,000 no two are taken for one, but for a chance of one in 29 million.
type slot struct {
	owner atomic.Uint64 // window, id
	count atomic.Uint64 // window (32 bits), requests that were let in (32 bits)
}

// memory is what the processes share: 4 MiB. It starts as zeroes.
type memory struct {
	magic   atomic.Uint64
	key     [2]atomic.Uint64
	_       [5]uint64 // the rest of a cache line
	buckets [1 << bucketBits][slots]slot
}

const memorySize = int(unsafe.Sizeof(memory{}))

// Limit is how many requests a client may make in a window.
type Limit struct {
	Quota  int
	Window time.Duration
}

// Table is one process's view of the counts. Its methods may be called by several
// goroutines.
type Table struct {
	mem    *memory
	bytes  []byte
	cipher cipher.Block
	limit  Limit
	now    func() time.Duration // since the host's start, the same for all processes
}

// Create makes the memory for a server's processes, which Attach to the file. The
// caller closes it.
func Create() (*os.File, error) {
	f, err := shmem.Create("ratelimit", memorySize)
	if err != nil {
		return nil, err
	}
	bytes, err := shmem.Map(f, memorySize)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	mem := (*memory)(unsafe.Pointer(&bytes[0]))
	for i := range mem.key {
		var word [8]byte
		_, _ = rand.Read(word[:]) // it never fails
		mem.key[i].Store(binary.BigEndian.Uint64(word[:]))
	}
	mem.magic.Store(magic)
	if err := shmem.Unmap(bytes); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Attach maps the memory behind a file that Create made. The processes must agree
// on the limit. The file may be closed then.
func Attach(f *os.File, limit Limit) (*Table, error) {
	bytes, err := shmem.Map(f, memorySize)
	if err != nil {
		return nil, err
	}
	t := &Table{mem: (*memory)(unsafe.Pointer(&bytes[0])), bytes: bytes, limit: limit, now: monotonic}
	if t.mem.magic.Load() != magic {
		return nil, errors.Join(errors.New("shared memory is not of rate limits"), t.Close())
	}
	var key [16]byte
	for i := range t.mem.key {
		binary.BigEndian.PutUint64(key[8*i:], t.mem.key[i].Load())
	}
	if t.cipher, err = aes.NewCipher(key[:]); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// Close gives the memory back. The other processes keep theirs.
func (t *Table) Close() error {
	t.mem = nil
	return shmem.Unmap(t.bytes)
}

// Limit is what each client has.
func (t *Table) Limit() Limit { return t.limit }

// Take counts a request of the client. It tells whether the request is within the
// limit, how many more are, and when the client's next window begins. What is
// refused is not counted.
func (t *Table) Take(client netip.Addr) (left int, next time.Duration, ok bool) {
	bucket, id := t.place(client)
	for {
		window, next := t.window(bucket)
		s, late := t.slot(bucket, window, id)
		if late {
			continue
		}
		if count, late := s.take(window, t.limit.Quota); !late {
			return max(0, t.limit.Quota-count), next, count <= t.limit.Quota
		}
	}
}

// place is the client's bucket, and its id there, which is never 0.
func (t *Table) place(client netip.Addr) (bucket, id uint64) {
	client = client.Unmap().WithZone("")
	if client.Is6() { // a network gives its clients as many addresses of theirs as they like
		client = netip.PrefixFrom(client, 64).Masked().Addr()
	}
	from := client.As16()
	var to [16]byte
	t.cipher.Encrypt(to[:], from[:])
	return binary.BigEndian.Uint64(to[:]) >> (64 - bucketBits), binary.BigEndian.Uint64(to[8:])>>(64-idBits) | 1
}

// window is the present one of a bucket, and how much of it is left.
func (t *Table) window(bucket uint64) (window uint32, left time.Duration) {
	// Begun at different times, they do not all end in the same moment.
	at := t.now() + t.limit.Window/(1<<bucketBits)*time.Duration(bucket)
	return uint32(at/t.limit.Window) + 1, t.limit.Window - at%t.limit.Window
}

// slot is the client's in a window, or the one for all who find no other free. late
// tells that the window is over.
func (t *Table) slot(bucket uint64, window uint32, id uint64) (s *slot, late bool) {
	list := &t.mem.buckets[bucket]
	mine := uint64(window)<<idBits | id
	for i := range list[:slots-1] {
		s := &list[i]
		for {
			owner := s.owner.Load()
			if owner == mine {
				return s, false
			}
			if owner>>idBits == mine>>idBits && owner != 0 {
				break // another's
			}
			// Free, if the owner's window is an earlier one; a later one has not begun if ours still lasts.
			if present, _ := t.window(bucket); present != window {
				return nil, true
			}
			if s.owner.CompareAndSwap(owner, mine) {
				return s, false
			}
		}
	}
	return &list[slots-1], false
}

// take adds a request to the window's, unless they are more than the quota, and
// returns how many they are then. late tells that a later window has begun.
func (s *slot) take(window uint32, quota int) (count int, late bool) {
	for {
		old := s.count.Load()
		of, count := uint32(old>>32), int(uint32(old))
		switch {
		case int32(of-window) > 0:
			return 0, true
		case of != window:
			count = 0
		case count >= quota:
			return count + 1, false
		}
		if s.count.CompareAndSwap(old, uint64(window)<<32|uint64(count+1)) {
			return count + 1, false
		}
	}
}

func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(fmt.Sprintf("CLOCK_MONOTONIC: %v", err)) // every system we build for has it
	}
	return time.Duration(ts.Nano())
}
