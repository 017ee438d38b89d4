package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/messenger-clone/messenger-clone-api/server/migrations"
)

// openFiles returns the SQL files and says in words where they are from. The directory of a checkout comes first, so
// that a file just written or mended counts without a new build.
func openFiles(dir string) (files fs.FS, origin string, err error) {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return migrations.FS(), "this program", nil
	case err != nil:
		return nil, "", err
	case !info.IsDir():
		return nil, "", fmt.Errorf("%s is not a directory", dir)
	default:
		return os.DirFS(dir), dir, nil
	}
}
