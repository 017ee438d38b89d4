//go:build !linux

package shmem

import (
	"errors"
	"os"
)

// newFile makes a file without a name, which goes with its last process.
func newFile(name string) (*os.File, error) {
	f, err := os.CreateTemp("", name+"-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
