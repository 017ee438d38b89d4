// Package shmem makes memory that the processes of a server share: a file without
// a name, which they inherit and map.
package shmem

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Create makes memory of so many bytes, all zero. Other processes Map the file,
// which the caller closes.
func Create(name string, size int) (*os.File, error) {
	f, err := newFile(name)
	if err != nil {
		return nil, fmt.Errorf("shared memory: %w", err)
	}
	if err := f.Truncate(int64(size)); err != nil {
		return nil, errors.Join(fmt.Errorf("shared memory: %w", err), f.Close())
	}
	return f, nil
}

// Map maps the memory, all of which must be of so many bytes. The file may be closed then.
func Map(f *os.File, size int) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("shared memory: %w", err)
	}
	if info.Size() != int64(size) {
		return nil, fmt.Errorf("shared memory of %d bytes, want %d: is the master another version?", info.Size(), size)
	}
	bytes, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map shared memory: %w", err)
	}
	return bytes, nil
}

// Unmap gives the memory back. The other processes keep theirs.
func Unmap(bytes []byte) error {
	if err := unix.Munmap(bytes); err != nil {
		return fmt.Errorf("shared memory: %w", err)
	}
	return nil
}
