package bootstrap

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/presentation/handlers"
)

// Cursors writes the cursors of lists. They are signed with a key derived from the
// one secret that every worker has, now and after a restart, on every host. Who
// changes the password has clients begin their lists anew.
func Cursors(cfg config.Config) (handlers.Cursors, error) {
	key, err := hkdf.Key(sha256.New, []byte(cfg.DBPassword.Reveal()), nil, "messenger-clone: cursors of lists, 1", sha256.Size)
	if err != nil {
		return handlers.Cursors{}, fmt.Errorf("derive the key of cursors: %w", err)
	}
	return handlers.NewCursors(key), nil
}
