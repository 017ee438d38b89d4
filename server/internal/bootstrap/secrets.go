package bootstrap

import (
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

// cursorKey is what the cursors of lists are signed with. It is derived from the
// one secret that every worker has, now and after a restart, on every host. Who
// changes the password has clients begin their lists anew.
func cursorKey(cfg config.Config) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, []byte(cfg.DBPassword.Reveal()), nil, "messenger-clone: cursors of lists, 1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key of cursors: %w", err)
	}
	return key, nil
}
