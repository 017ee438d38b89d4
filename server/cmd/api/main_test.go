package main

import (
	"os"
	"testing"
)

// mainVariable makes this test binary the server itself, so that the tests see
// real masters and workers, under the race detector where the tests are.
const mainVariable = "API_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}
