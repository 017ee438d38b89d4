package freshness

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childVariable makes this test program a process that shares a table.
const childVariable = "FRESHNESS_TEST_CHILD"

const testShards = 5

func TestMain(m *testing.M) {
	if role := os.Getenv(childVariable); role != "" {
		if err := child(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// child is what a process does that start started. It says what it did in lines.
func child(role string) error {
	t, err := Attach(os.NewFile(3, "table"), testShards)
	if err != nil {
		return err
	}
	ended := make(chan struct{}) // when nobody wants to know any more
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	switch role {
	case "begin": // a write that never ends
		if _, ok := t.Begin(context.Background(), 0, "begun"); !ok {
			return fmt.Errorf("no offset")
		}
		fmt.Println("begun")
		<-ended
	case "lease":
		lease := t.NewLease()
		for leads := false; ; {
			if held := lease.Keep(); held != leads {
				leads = held
				fmt.Println(leads)
			}
			select {
			case <-ended:
				return nil
			case <-time.After(leaseInterval):
			}
		}
	case "write": // many writes of few keys, and what must always hold
		for i := range 20_000 {
			key := strconv.Itoa(rand.IntN(8))
			w, _ := t.Begin(context.Background(), 0, key, strconv.Itoa(i))
			if until := t.mark(key).until(); until < w.until {
				return fmt.Errorf("write %d is pending until %d, its mark says %d", i, w.until, until)
			}
			if i%1000 == 0 {
				continue // lost
			}
			acknowledged := now()
			w.Done()
			if until := t.mark(key).until(); until < acknowledged {
				return fmt.Errorf("write %d was acknowledged at %d, its mark says %d", i, acknowledged, until)
			}
		}
	case "publish": // proofs of one incarnation, in any order
		for range 20_000 {
			s := &t.mem.shard[1]
			before := proofWord(s.proven.Load())
			s.publish(7, instant(rand.IntN(1_000_000_000)))
			if after := proofWord(s.proven.Load()); after < before {
				return fmt.Errorf("T fell from %d to %d", before.time(), after.time())
			}
		}
	}
	fmt.Println("done")
	return nil
}

// process is one that shares a table with us.
type process struct {
	*os.Process

	lines chan string
}

// start starts a process in a role. It ends with the test at the latest.
func start(t *testing.T, f *os.File, role string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+role)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd.Process, make(chan string, 100)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = p.Kill()
		<-read
		_ = cmd.Wait()
	})
	return p
}

// says waits for the next line of the process.
func (p *process) says(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-p.lines:
		if got != want {
			t.Fatalf("the process says %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("the process says nothing, want %q", want)
	}
}

// open makes a table whose floor has passed and where shard 0's clock is known.
func open(t testing.TB, lifetime time.Duration) (*Table, *os.File) {
	t.Helper()
	table, f, err := Create(testShards, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.Close()
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	table.mem.floor.Store(0)
	table.floor = 0
	for i := range testShards {
		if err := table.LearnClock(i, func() (time.Time, error) { return time.Now(), nil }); err != nil {
			t.Fatal(err)
		}
	}
	return table, f
}

func mustBegin(t testing.TB, table *Table, keys ...string) *Write {
	t.Helper()
	w, ok := table.Begin(context.Background(), 0, keys...)
	if !ok {
		t.Fatal("Begin: the primary's clock is not known")
	}
	return w
}

// mayRead tells whether a proof of t would allow to read the key.
func mayRead(table *Table, key string, t instant) bool {
	table.mem.shard[0].proven.Store(uint64(prove(1, t)))
	_, ok := table.MayRead(0, key)
	return ok
}
