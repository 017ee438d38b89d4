package ratelimit

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// childVariable makes this test binary a process of a server.
const childVariable = "RATELIMIT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		child()
		return
	}
	m.Run()
}

// open returns processes' views of one memory, with a clock that stands still.
func open(t testing.TB, views int, limit Limit) (tables []*Table, clock *time.Duration) {
	t.Helper()
	f, err := Create()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	clock = new(time.Duration)
	for range views {
		table, err := Attach(f, limit)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := table.Close(); err != nil {
				t.Error(err)
			}
		})
		table.now = func() time.Duration { return *clock }
		tables = append(tables, table)
	}
	return tables, clock
}

func client(n int) netip.Addr {
	var addr [4]byte
	binary.BigEndian.PutUint32(addr[:], 10<<24|uint32(n))
	return netip.AddrFrom4(addr)
}

func TestWindow(t *testing.T) {
	t.Parallel()
	tables, clock := open(t, 2, Limit{3, time.Minute})
	for round := range 3 {
		for n, want := range []string{"2 true", "1 true", "0 true", "0 false", "0 false"} {
			left, next, ok := tables[n%2].Take(client(1))
			if got := fmt.Sprint(left, ok); got != want {
				t.Errorf("round %d, request %d: got %s, want %s", round, n, got, want)
			}
			if next <= 0 || next > time.Minute {
				t.Errorf("the next window begins in %s", next)
			}
		}
		if left, _, ok := tables[0].Take(client(2 + round)); left != 2 || !ok {
			t.Errorf("round %d: another client has %d left, %t", round, left, ok)
		}
		_, next, _ := tables[0].Take(client(1))
		*clock += next - 1
		if _, _, ok := tables[0].Take(client(1)); ok {
			t.Error("let in before the next window")
		}
		*clock++
		*clock += time.Minute * time.Duration(round*1_000_000) // a host may run for long
	}
}

func TestWhoIsAClient(t *testing.T) {
	t.Parallel()
	tables, _ := open(t, 1, Limit{1, time.Minute})
	for _, test := range []struct {
		addr string
		ok   bool
	}{
		{"192.0.2.1", true},
		{"::ffff:192.0.2.1", false}, // the same
		{"192.0.2.2", true},
		{"2001:db8::1", true},
		{"2001:db8::ffff:1", false}, // of the same network
		{"2001:db8:0:1::1", true},
		{"fe80::1%eth0", true},
		{"fe80::2%eth1", false},
	} {
		if _, _, ok := tables[0].Take(netip.MustParseAddr(test.addr)); ok != test.ok {
			t.Errorf("%s: got %t, want %t", test.addr, ok, test.ok)
		}
	}
}

// TestManyClients has 100,000 clients in one window, after one who is there all
// the time.
func TestManyClients(t *testing.T) {
	t.Parallel()
	const clients, quota = 100_000, 4
	tables, _ := open(t, 1, Limit{quota, time.Hour})
	table, regular := tables[0], client(0)
	table.Take(regular)
	early := 0
	for n := 1; n <= clients; n++ {
		for range quota {
			if _, _, ok := table.Take(client(n)); !ok {
				early++
				break
			}
		}
		if _, _, ok := table.Take(client(n)); ok {
			t.Fatalf("client %d was let in %d times", n, quota+1)
		}
	}
	if early > clients/500 {
		t.Errorf("%d of %d clients were refused early", early, clients)
	}
	for n := 2; n <= quota+1; n++ {
		if _, _, ok := table.Take(regular); ok != (n <= quota) {
			t.Errorf("request %d of a client who was there before: got %t", n, ok)
		}
	}
}

// TestFullBucket has more clients than the memory has slots: all are limited.
func TestFullBucket(t *testing.T) {
	t.Parallel()
	tables, _ := open(t, 1, Limit{1, time.Hour})
	const clients = 2 << bucketBits * slots
	in := 0
	for n := range clients {
		if _, _, ok := tables[0].Take(client(n)); ok {
			in++
		}
	}
	if most := slots << bucketBits; in > most || in < most*99/100 {
		t.Errorf("%d requests of %d clients were let in, want one for each of %d slots", in, clients, most)
	}
}

// neighbours are clients of one bucket.
func neighbours(t *testing.T, table *Table, count int) (list []netip.Addr) {
	t.Helper()
	bucket, _ := table.place(client(0))
	for n := range 1 << 24 {
		if at, _ := table.place(client(n)); at == bucket {
			if list = append(list, client(n)); len(list) == count {
				return list
			}
		}
	}
	t.Fatal("16 million clients, and too few in a bucket")
	return nil
}

// TestNeighbours has all clients that a bucket has slots for come at once, in
// window after window.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	const quota, windows = 2, 300
	tables, clock := open(t, 4, Limit{quota, time.Minute})
	clients := neighbours(t, tables[0], slots-1)
	for window := range windows {
		in := make([]atomic.Int64, len(clients))
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 4 * len(clients) {
			wg.Go(func() {
				<-start
				for range quota {
					if _, _, ok := tables[i%4].Take(clients[i/4]); ok {
						in[i/4].Add(1)
					}
				}
			})
		}
		close(start)
		wg.Wait()
		for i := range in {
			if n := in[i].Load(); n != quota {
				t.Fatalf("window %d: client %d was let in %d times, want %d", window, i, n, quota)
			}
		}
		*clock += time.Minute
	}
}

// TestLateProcess has a process look at the clock, and go on in a later window,
// where somebody else has the slot already that it would have taken.
func TestLateProcess(t *testing.T) {
	t.Parallel()
	const quota = 2
	for _, passed := range []time.Duration{time.Minute, 100 * time.Hour} {
		tables, clock := open(t, 2, Limit{quota, time.Minute})
		late, other := tables[0], tables[1]
		two := neighbours(t, late, 2)
		before, calls := *clock, 0
		late.now = func() time.Duration {
			if calls++; calls > 1 {
				return *clock
			}
			*clock += passed
			for range quota {
				other.Take(two[1])
			}
			return before
		}
		if left, _, ok := late.Take(two[0]); !ok || left != quota-1 {
			t.Errorf("after %s: got %d left, %t, want a count of its own", passed, left, ok)
		}
		if _, _, ok := other.Take(two[1]); ok {
			t.Errorf("after %s: the other was let in beyond its quota", passed)
		}
	}
}

// TestTwoFindOneSlot has somebody take the slot that another has just found free.
func TestTwoFindOneSlot(t *testing.T) {
	t.Parallel()
	const quota = 3
	tables, clock := open(t, 2, Limit{quota, time.Minute})
	two := neighbours(t, tables[0], 2)
	calls := 0
	tables[0].now = func() time.Duration {
		if calls++; calls == 2 {
			tables[1].Take(two[1])
		}
		return *clock
	}
	for i, addr := range two {
		if left, _, ok := tables[0].Take(addr); !ok || left != quota-1-i {
			t.Errorf("client %d: got %d left, %t, want %d", i, left, ok, quota-1-i)
		}
	}
}

// TestLateCount has a process find its slot, and count there in a later window.
func TestLateCount(t *testing.T) {
	t.Parallel()
	tables, clock := open(t, 1, Limit{2, time.Minute})
	two := neighbours(t, tables[0], 2)
	bucket, id := tables[0].place(two[0])
	window, _ := tables[0].window(bucket)
	s, late := tables[0].slot(bucket, window, id)
	if late {
		t.Fatal("late in the present window")
	}
	*clock += time.Minute
	tables[0].Take(two[1])
	was := s.count.Load()
	if _, late := s.take(window, 2); !late || s.count.Load() != was {
		t.Errorf("counted %x, late %t, in a slot that is another's by now with %x", s.count.Load(), late, was)
	}
}

// TestExactOverProcesses has 7 processes, with goroutines, take for the same
// clients at once.
func TestExactOverProcesses(t *testing.T) {
	t.Parallel()
	f, err := Create()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var outs [7]strings.Builder
	var cmds []*exec.Cmd
	for i := range outs {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"=1")
		cmd.ExtraFiles = []*os.File{f}
		cmd.Stdout, cmd.Stderr = &outs[i], os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	in := 0
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		var n int
		if _, err := fmt.Sscan(outs[i].String(), &n); err != nil {
			t.Fatalf("%q: %v", outs[i].String(), err)
		}
		in += n
	}
	if want := childClients * childLimit.Quota; in != want {
		t.Errorf("%d requests were let in, want %d: %d of each of %d clients", in, want, childLimit.Quota, childClients)
	}
}

const childClients = 500

// childLimit has a window that does not end meanwhile.
var childLimit = Limit{100, 1000 * time.Hour}

func child() {
	table, err := Attach(os.NewFile(3, "shared"), childLimit)
	if err != nil {
		panic(err)
	}
	var in [8]int
	var wg sync.WaitGroup
	for g := range in {
		wg.Go(func() {
			for range childLimit.Quota { // each goroutine would use up all
				for n := range childClients {
					if _, _, ok := table.Take(client(n)); ok {
						in[g]++
					}
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, n := range in {
		total += n
	}
	fmt.Println(total)
}

func TestAttachChecksTheMemory(t *testing.T) {
	t.Parallel()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int64{0, int64(memorySize), int64(memorySize) + 1} {
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if _, err := Attach(f, Limit{1, time.Second}); err == nil {
			t.Errorf("%d bytes of zeroes are taken for rate limits", size)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	tables, _ := open(b, 1, Limit{1 << 30, time.Hour})
	tables[0].now = monotonic
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		tables[0].Take(client(n % 1000))
	}
}
