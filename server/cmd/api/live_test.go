package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	devlog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/messenger-clone/messenger-clone-api/server/internal/testcluster"
)

// contrastJS lists what is written with too little contrast.
//
//go:embed testdata/contrast.js
var contrastJS string

// TestLivePage looks at the page on the admin port in a browser, while servers go away and come back.
func TestLivePage(t *testing.T) {
	tab := openTab(t)
	cfg := testcluster.Open(t)
	replica := testcluster.NewProxy(t, cfg.Shards[1].Replica)
	admin := "http://" + freeAddr(t)
	s := start(t, "SHARD_1_REPLICA_ADDR="+replica.Addr, "ADMIN_ADDR="+strings.TrimPrefix(admin, "http://"))
	companion := s.awaitLine(t, func(l logLine) bool { return l.Msg == "admin port" }).PID
	for i := range 20 {
		must[user](t, s, "POST", "/api/v1/users", createBody("Ada", fmt.Sprintf("ada%d@example.com", i)), 201)
	}

	tab.run(t, chromedp.Navigate(admin+"/"))
	tab.awaitText(t, "#summary", "All is well")
	if tab.found.from(admin) == 0 {
		t.Fatal("no request was seen: this test cannot tell whether one went elsewhere")
	}

	t.Run("tells of every shard and worker", func(t *testing.T) {
		for section, want := range map[string]int{"shards": len(cfg.Shards), "workers": workers} {
			if got := eval[int](t, tab, fmt.Sprintf(`document.querySelectorAll("[aria-labelledby=%s] tbody tr").length`, section)); got != want {
				t.Errorf("%d rows of %s, want %d", got, section, want)
			}
		}
		if got := eval[int](t, tab, `document.querySelectorAll(".ring circle").length`); got != len(cfg.Shards) {
			t.Errorf("%d arcs of the ring, want %d", got, len(cfg.Shards))
		}
	})
	t.Run("is complete without a script", func(t *testing.T) {
		status, text, err := fetch(t, admin+"/")
		if err != nil || status != 200 {
			t.Fatalf("%d %v", status, err)
		}
		for _, want := range append(shardNames(cfg), "All is well", "99 % within", `http-equiv="refresh"`) {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing", want)
			}
		}
	})
	t.Run("can be read", func(t *testing.T) { tab.canBeRead(t) })

	// The keyboard's place stays where it is whatever comes and goes.
	tab.run(t, chromedp.Focus(chromedp.CSS(`a[aria-label="profiles of worker 1"]`)))
	eval[int](t, tab, `window.updates = 0; new MutationObserver(() => updates++).observe(document.querySelector(".state time"), { attributeFilter: ["datetime"] }); updates`)
	for _, change := range []struct {
		name string
		do   func()
		want string // in the summary
	}{
		{"a replica goes", replica.Stop, "1 warning: shard-1’s replica does not answer"},
		{"a pooler hangs, too", func() {
			t.Cleanup(func() { thaw(t, "poolers:pgbouncer-2") })
			freeze(t, "poolers:pgbouncer-2")
		}, "1 fault, 1 warning: shard-2’s PgBouncer does not answer"},
		{"the pooler goes on", func() { thaw(t, "poolers:pgbouncer-2") }, "1 warning: shard-1’s replica does not answer"},
		{"the replica comes back", func() { replica.Start(t) }, "All is well"},
	} {
		t.Run(change.name, func(t *testing.T) {
			change.do() // which may take its time to find the process
			before, began := eval[int](t, tab, "updates"), time.Now()
			tab.awaitText(t, "#summary", change.want)
			// In two seconds there are four updates, and one more for the news: counted in these, a busy machine is no excuse.
			if after := eval[int](t, tab, "updates"); after-before > 5 {
				t.Errorf("shown by the %d. update, want it within 2 s: by the 5.", after-before)
			}
			t.Logf("shown after %s", time.Since(began).Round(time.Millisecond))
			if strings.Contains(change.want, "fault") {
				tab.canBeRead(t)
			}
		})
	}
	if got := eval[string](t, tab, "document.activeElement.getAttribute('aria-label')"); got != "profiles of worker 1" {
		t.Errorf("the focus has moved to %q", got)
	}
	if got := eval[int](t, tab, `document.querySelectorAll(".past li").length`); got < 2 {
		t.Errorf("%d lines tell what was wrong, want those of the replica and the pooler", got)
	}
	tab.found.none(t)

	t.Run("says when it is no longer told anything", func(t *testing.T) {
		kill(t, companion)
		tab.awaitText(t, "#lost", "has not answered since")
		await(t, func() error { // its successor is found by itself
			if text := eval[string](t, tab, `document.getElementById("lost").textContent`); text != "" {
				return fmt.Errorf("the page says: %s", text)
			}
			return nil
		})
	})
}

// freeAddr is one that is free now. What dies is to come back to it.
func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// tab is a browser with one page, and what was seen of it.
type tab struct {
	ctx   context.Context
	found *seen
}

func openTab(t testing.TB) tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(needChromium(t)), chromedp.WindowSize(1280, 1000), chromedp.WSURLReadTimeout(time.Minute))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which Chromium refuses to root
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	found := &seen{}
	if err := chromedp.Listen(ctx, found.see); err != nil {
		t.Fatal(err)
	}
	return tab{ctx, found}
}

func needChromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("Chromium is missing: CI must not pass over it")
	}
	t.Skip("needs Chromium: `make test-long` installs it")
	return ""
}

func (b tab) run(t testing.TB, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// eval is a JavaScript expression's value.
func eval[T any](t testing.TB, b tab, expression string) T {
	t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// call is a command of the browser's protocol.
func call[P, R any](t testing.TB, b tab, command cdp.Command[P, R], params P) R {
	t.Helper()
	result, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (b tab) awaitText(t testing.TB, selector, want string) {
	t.Helper()
	await(t, func() error {
		if got := eval[string](t, b, fmt.Sprintf("document.querySelector(%q).textContent", selector)); !strings.Contains(got, want) {
			return fmt.Errorf("%s says %q, want %q", selector, got, want)
		}
		return nil
	})
}

// canBeRead checks what can be without eyes: everything has a name, enough contrast, and room on a phone.
func (b tab) canBeRead(t *testing.T) {
	t.Helper()
	named := 0
	for _, node := range call(t, b, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if node.Ignored || node.Role == nil {
			continue
		}
		switch role := string(node.Role.Value); role {
		case `"link"`, `"button"`, `"image"`, `"img"`, `"table"`, `"region"`, `"navigation"`, `"columnheader"`, `"rowheader"`:
			named++
			if node.Name == nil || len(node.Name.Value) <= len(`""`) {
				t.Errorf("a %s without a name (node %d)", role, node.BackendDOMNodeID)
			}
		}
	}
	if named < 30 {
		t.Errorf("only %d things with names", named)
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			call(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
			b.run(t, chromedp.EmulateViewport(width, 1000))
			if width == 1280 {
				for _, poor := range eval[[]string](t, b, contrastJS) {
					t.Errorf("%s: %s", scheme, poor)
				}
			}
			if got := eval[int64](t, b, "document.documentElement.scrollWidth"); got > width {
				t.Errorf("it takes %d pixels of %d", got, width)
			}
			b.shoot(t, fmt.Sprintf("%s-%s-%d", filepath.Base(t.Name()), scheme, width))
		}
	}
	b.run(t, chromedp.EmulateViewport(1280, 1000))
}

// shoot leaves a picture in the folder SCREENSHOTS, for docs/images.
func (b tab) shoot(t *testing.T, name string) {
	t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o600); err != nil {
		t.Fatal(err)
	}
}

// seen is what a page asked for, and what went wrong in it.
type seen struct {
	mu     sync.Mutex
	asked  []string
	errors bytes.Buffer
}

func (s *seen) see(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		s.asked = append(s.asked, e.Request.URL)
	case *runtime.EventExceptionThrown:
		fmt.Fprintln(&s.errors, e.ExceptionDetails.Text, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber)
	case *runtime.EventConsoleAPICalled:
		fmt.Fprintln(&s.errors, "console:", e.Type)
	case *devlog.EventEntryAdded:
		fmt.Fprintln(&s.errors, e.Entry.Level, e.Entry.Text, e.Entry.URL)
	}
}

// from is how many requests went to a server.
func (s *seen) from(server string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, url := range s.asked {
		if strings.HasPrefix(url, server) {
			n++
		}
	}
	return n
}

// none checks that nothing went wrong or elsewhere.
func (s *seen) none(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.errors.Len() > 0 {
		t.Errorf("the browser says:\n%s", s.errors.String())
	}
	for _, url := range s.asked {
		if !strings.HasPrefix(url, "http://127.0.0.1:") && !strings.HasPrefix(url, "data:,") {
			t.Errorf("the page asked for %s", url)
		}
	}
}
