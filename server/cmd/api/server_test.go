package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/contract/contracttest"
	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

const workers = 3

// server is a running API: a master and its workers.
type server struct {
	url    string
	cmd    *exec.Cmd
	client *http.Client

	mu    sync.Mutex
	lines []logLine
	raw   bytes.Buffer
	ended chan struct{} // closed when the last process has closed its output
	errs  *output
	deaf  atomic.Bool // to what it says: whoever floods it has no time to listen
	says  io.Closer   // its output, as it is read here
	busy  sync.Mutex  // held while nobody reads it
}

type logLine struct {
	Level, Msg, Method, Route, Shard, Fallback, Addr, Err string
	Status                                                int
	PID                                                   int
	RequestID                                             string `json:"request_id"`
	WorkerPID                                             int    `json:"worker_pid"`
}

// withAdmin is the setting of a server whose admin port is looked at. The others do
// without that process and its connections to every database.
const withAdmin = "ADMIN_ADDR=127.0.0.1:0"

// command is the API's process, with settings added to those of the cluster
// and in a folder without a .env.
func command(t testing.TB, settings ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program())
	cmd.Dir = t.TempDir()
	// A login's SCRAM hashes take long under the race detector on a machine that is busy.
	cmd.Env = append(os.Environ(), mainVariable+"=1", "HOST=127.0.0.1", "PORT=0", "ADMIN_ADDR=off", fmt.Sprintf("GOMAXPROCS=%d", workers), "DB_CONNECT_TIMEOUT=4s")
	cmd.Env = append(cmd.Env, settings...)
	return cmd
}

// start starts the API and waits until every worker and every shard is ready.
func start(t testing.TB, settings ...string) *server {
	t.Helper()
	return startProgram(t, command(t, settings...))
}

func startProgram(t testing.TB, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{cmd: cmd, ended: make(chan struct{}), errs: new(output)}
	s.cmd.Stderr = s.errs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.says = out
	go s.read(out)
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // the workers see it and leave
		<-s.ended
		_ = s.cmd.Wait()
		if strings.Contains(s.errs.String(), "DATA RACE") {
			t.Error("the race detector found something in the server")
		}
		if t.Failed() {
			t.Logf("stderr: %s\nlog:\n%s", s.errs, tail(s.raw.String(), 20))
		}
	})
	s.url = "http://" + s.awaitLine(t, func(l logLine) bool { return l.Msg == "starting" }).Addr
	for i := range workers {
		s.awaitCount(t, i+1, func(l logLine) bool { return l.Msg == "worker ready" })
	}
	s.client = &http.Client{Transport: contracttest.Transport(t, &http.Transport{MaxIdleConnsPerHost: 100}), Timeout: 30 * time.Second}
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

func (s *server) read(out io.Reader) {
	defer close(s.ended)
	for scanner := bufio.NewScanner(out); scanner.Scan(); {
		s.busy.Lock()
		s.hear(scanner.Bytes())
		s.busy.Unlock()
	}
}

func (s *server) hear(said []byte) {
	if s.deaf.Load() {
		return
	}
	var line logLine
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(said)
	s.raw.WriteByte('\n')
	if json.Unmarshal(said, &line) == nil {
		s.lines = append(s.lines, line)
	}
}

func (s *server) matching(match func(logLine) bool) (found []logLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.lines {
		if match(line) {
			found = append(found, line)
		}
	}
	return found
}

// awaitCount waits until so many lines match, and returns them.
func (s *server) awaitCount(t testing.TB, count int, match func(logLine) bool) (found []logLine) {
	t.Helper()
	await(t, func() error {
		if found = s.matching(match); len(found) < count {
			return fmt.Errorf("%d of %d lines in the log; stderr: %s", len(found), count, s.errs)
		}
		return nil
	})
	return found
}

func (s *server) awaitLine(t testing.TB, match func(logLine) bool) logLine {
	t.Helper()
	return s.awaitCount(t, 1, match)[0]
}

// stop sends the signal and returns the exit code once every process is gone.
func (s *server) stop(t testing.TB, sig os.Signal) int {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		t.Fatal("the server did not end")
	}
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

type user struct {
	ID, Name, Email string
	CreatedAt       string `json:"created_at"`
	UpdatedAt       string `json:"updated_at"`
}

// send returns the status and the body. Headers are names, each with its value behind it.
func (s *server) send(method, path, body string, headers ...string) (int, []byte, error) {
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for header := range slices.Chunk(headers, 2) {
		req.Header.Set(header[0], header[1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}

// servedBy returns what X-Served-By says of a GET that must be answered with 200.
func (s *server) servedBy(t testing.TB, path string) string {
	t.Helper()
	res, err := s.client.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v", path, res.StatusCode, err)
	}
	return res.Header.Get("X-Served-By")
}

// awaitServedBy waits until a GET is answered by that server, as a user's is by
// the replica once that is known to have what was written last.
func (s *server) awaitServedBy(t testing.TB, path, want string) {
	t.Helper()
	await(t, func() error {
		if got := s.servedBy(t, path); got != want {
			return fmt.Errorf("%s is served by %s, want %s", path, got, want)
		}
		return nil
	})
}

// must sends a request that must be answered with the status, and decodes the answer.
func must[T any](t testing.TB, s *server, method, path, body string, status int) (value T) {
	t.Helper()
	got, answer, err := s.send(method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if got != status {
		t.Fatalf("%s %s %s: got %d %s, want %d", method, path, body, got, answer, status)
	}
	if len(answer) > 0 {
		if err := json.Unmarshal(answer, &value); err != nil {
			t.Fatalf("%s %s: %s: %v", method, path, answer, err)
		}
	}
	return value
}

func createBody(name, email string) string { return fmt.Sprintf(`{"name":%q,"email":%q}`, name, email) }

// createOn creates users until one lives on the shard.
func createOn(t testing.TB, s *server, router placer, shard string) user {
	t.Helper()
	for i := range 1000 {
		u := must[user](t, s, "POST", "/api/v1/users/", createBody("Ada", fmt.Sprintf("%s-%d-%d@example.com", shard, i, time.Now().UnixNano())), 201)
		if router.Owner(u.ID) == shard {
			return u
		}
	}
	t.Fatalf("1000 users, and none on %s", shard)
	return user{}
}

// placer is the ring.
type placer interface{ Owner(key string) string }

func shardNames(cfg config.Config) (names []string) {
	for _, s := range cfg.Shards {
		names = append(names, s.Name)
	}
	return names
}

func await(t testing.TB, check func() error) {
	t.Helper()
	testcluster.Await(t, check)
}

// output collects what a process writes, while a test reads it.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// String implements fmt.Stringer.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
