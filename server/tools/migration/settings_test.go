package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const wholeFile = "../../migration.yml"

func TestSettings(t *testing.T) {
	t.Parallel()

	set, err := loadSettings(wholeFile)
	require.NoError(t, err)
	require.Equal(t, filepath.Join("..", "..", "migrations"), set.Directory)
	require.Equal(t, 1500*time.Millisecond, set.LockTimeout)
}

func TestSettingsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(wholeFile)
	require.NoError(t, err)
	change := func(from, to string) string {
		require.Contains(t, string(text), from)
		return strings.Replace(string(text), from, to, 1)
	}

	tests := []struct{ name, text, want string }{
		{"Empty", "", "directory is missing"},
		{"UnknownKey", string(text) + "lock_timeuot: 3s\n", "field lock_timeuot not found"},
		{"MissingKey", change("table: schema_migrations", ""), "table is missing"},
		{"NoUnit", change("lock_timeout: 1500ms", "lock_timeout: 1500"), "cannot unmarshal !!int `1500` into time.Duration"},
		{"ForEver", change("lock_timeout: 1500ms", "lock_timeout: 0s"), "lock_timeout is missing or less than 1ms"},
		{"Negative", change("connect_timeout: 5s", "connect_timeout: -5s"), "connect_timeout is missing or less than 1ms"},
		{"NotADuration", change("lock_timeout: 1500ms", "lock_timeout: soon"), "soon"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseSettings([]byte(tt.text))
			require.ErrorContains(t, err, tt.want)
		})
	}
}
