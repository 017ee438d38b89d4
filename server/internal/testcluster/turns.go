package testcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// variable lists the files of the clusters' settings.
const variable = "TEST_CLUSTER"

// TakeForPackage is for a TestMain: a cluster for all tests of a package, which do
// not disturb each other, in the environment until it is released. Without a
// cluster it does nothing.
func TakeForPackage() (release func(), err error) {
	if os.Getenv(variable) == "" {
		return func() {}, nil
	}
	environ, release, err := take()
	if err != nil {
		return nil, err
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	return release, nil
}

// take waits for a cluster that nobody uses, in any of the packages that are
// tested side by side, and returns its settings. It is the caller's until it is
// released, or nothing refers to release any more: the lock is no database's, which
// a test may kill, but a file's, and such a file is closed.
func take() (environ []string, release func(), err error) {
	files := filepath.SplitList(os.Getenv(variable))
	// Who waits longest is next, and not who has just had its turn.
	queue, err := lock(files[0]+".queue", unix.LOCK_EX)
	if err != nil {
		return nil, nil, err
	}
	defer queue.Close()
	for tick := time.Tick(5 * time.Millisecond); ; <-tick { // there is no waiting for one of several locks
		for _, name := range files {
			f, err := lock(name, unix.LOCK_EX|unix.LOCK_NB)
			if errors.Is(err, unix.EWOULDBLOCK) {
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, nil, errors.Join(err, f.Close())
			}
			return strings.Split(string(text), "\n"), func() { _ = f.Close() }, nil
		}
	}
}

func lock(name string, how int) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EINTR):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
	}
}
