package config

import (
	"reflect"
	"slices"
)

// masterSettings are what a running master has fixed: its sockets, how many
// workers there are, how long it waits for them, and what its workers have to
// agree on with those before and after them.
var masterSettings = []string{
	"HOST", "PORT", "GOMAXPROCS", "SHARDING_ENABLED", "SHARDING_COUNT", "REQUEST_TIMEOUT", "DRAIN_TIMEOUT",
	"RATE_LIMIT",
}

// NeedsRestart lists the settings that differ in next and that new workers alone
// cannot take over.
func (c Config) NeedsRestart(next Config) (names []string) {
	old, now := reflect.ValueOf(c), reflect.ValueOf(next)
	for i := range old.NumField() {
		name := old.Type().Field(i).Tag.Get("env")
		if slices.Contains(masterSettings, name) && !old.Field(i).Equal(now.Field(i)) {
			names = append(names, name)
		}
	}
	return names
}
