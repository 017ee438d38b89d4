//go:build !linux

package freshness

import (
	"errors"
	"os"
)

// newFile makes a file without a name, which goes with its last process.
func newFile() (*os.File, error) {
	f, err := os.CreateTemp("", "freshness-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
