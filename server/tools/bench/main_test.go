package main

import (
	"context"
	"os"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/internal/bootstrap"
)

// programVariable makes this test binary one of the servers.
const programVariable = "BENCH_TEST_PROGRAM"

func TestMain(m *testing.M) {
	serve := map[string]func(context.Context) error{
		"api":  func(ctx context.Context) error { return bootstrap.Run(ctx, os.Stdout, nil) },
		"null": serveNull,
	}[os.Getenv(programVariable)]
	if serve == nil {
		os.Exit(m.Run())
	}
	if err := untilTold(serve); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}
