package main

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// TestNobodyReadsTheLog: whoever reads it may pause, or end, and no request waits for that.
func TestNobodyReadsTheLog(t *testing.T) {
	s := start(t)
	const requests = 1000 // several times what a pipe holds
	ask := func(when string) {
		t.Helper()
		var group errgroup.Group
		group.SetLimit(8)
		for range requests {
			group.Go(func() error {
				status, _, err := s.send(http.MethodGet, "/api/v1/users/"+uuid.NewString(), "")
				if err == nil && status != http.StatusNotFound {
					err = fmt.Errorf("%d, want %d", status, http.StatusNotFound)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	s.busy.Lock()
	ask("the reader pauses")
	if got := len(s.matching(isRequest)); got > 1 {
		t.Fatalf("%d lines were read in the pause", got)
	}
	s.busy.Unlock()
	s.awaitCount(t, requests, isRequest)

	if err := s.says.Close(); err != nil {
		t.Fatal(err)
	}
	ask("the reader has ended")
	if code := s.stop(t, syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func isRequest(l logLine) bool { return l.Msg == "request" }
