package main

import (
	"os"
	"testing"
)

const (
	// mainVariable makes this test binary the server itself, so that the tests see
	// real masters and workers, under the race detector where the tests are.
	mainVariable = "API_TEST_MAIN"
	// programVariable names a server that was built, which starts faster.
	programVariable = "API_PROGRAM"
)

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is what the tests start.
func program() string {
	if built := os.Getenv(programVariable); built != "" {
		return built
	}
	return os.Args[0]
}
