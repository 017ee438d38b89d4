package bootstrap

import (
	"errors"
	"testing"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

func TestFit(t *testing.T) {
	t.Parallel()
	cfg := config.Config{DBWriteMaxOpenConns: 500, DBReadMaxOpenConns: 200}
	for _, test := range []struct {
		name string
		err  error
		fits bool
	}{
		{"pooler with room", fitPooler(cfg, 10_000), true},
		{"pooler just so", fitPooler(cfg, 500), true},
		{"pooler too small", fitPooler(cfg, 499), false},
		{"replica with room", fitReplica(cfg, 400, 5), true},
		{"replica just so", fitReplica(cfg, 205, 5), true},
		{"replica too small", fitReplica(cfg, 204, 5), false},
	} {
		if fits := test.err == nil; fits != test.fits || !fits && !errors.Is(test.err, errDoesNotFit) {
			t.Errorf("%s: got %v, want it to fit: %t", test.name, test.err, test.fits)
		}
	}
}
