package config

import (
	"reflect"
	"slices"
	"testing"
)

func TestNeedsRestart(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t)
	if got := cfg.NeedsRestart(mustLoad(t, "GOGC=99", "DB_READ_TIMEOUT=1s", "LOG_LEVEL=warn")); got != nil {
		t.Errorf("got %v, want nothing: workers take these over", got)
	}
	got := cfg.NeedsRestart(mustLoad(t, "PORT=8181", "SHARDING_COUNT=3", "GOMAXPROCS=2", "RATE_LIMIT=9/1m"))
	slices.Sort(got)
	if want := []string{"GOMAXPROCS", "PORT", "RATE_LIMIT", "SHARDING_COUNT"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, name := range masterSettings {
		if !slices.Contains(Names(), name) {
			t.Errorf("%s is no setting", name)
		}
	}
}
