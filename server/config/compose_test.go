package config

import (
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// In Docker only what docker-compose.yml names reaches the server: a setting
// that it forgets would have no effect there, and nobody would say so.
func TestComposeHandsOnEverySetting(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docker-compose.yml")
	require.NoError(t, err)
	var compose struct {
		Environment map[string]any `yaml:"x-server-environment"`
	}
	require.NoError(t, yaml.Unmarshal(text, &compose))

	for _, name := range Names() {
		if slices.Contains(launcherNames, name) {
			continue
		}
		if name == "DB_PASSWORD" || name == "DB_OWNER_PASSWORD" {
			continue // each goes to one service only
		}
		require.Contains(t, compose.Environment, name)
	}
	for name := range compose.Environment {
		require.True(t, isKnown(name) && !slices.Contains(launcherNames, name), "%s is no setting of the server", name)
	}
}
