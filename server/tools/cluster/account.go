package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that the databases run as. PostgreSQL refuses to run as
// root, so root lends them the user that Debian's packages make for it.
type account struct {
	name     string
	uid, gid int
	other    bool // not the one who runs this program
}

func serviceAccount() (account, error) {
	if os.Getuid() != 0 {
		return account{uid: os.Getuid(), gid: os.Getgid()}, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return account{}, errors.New("PostgreSQL refuses to run as root and there is no user postgres to run it as: " +
			"add one (useradd --system postgres), or run make as an ordinary user")
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return account{}, fmt.Errorf("user postgres: %w", err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return account{}, fmt.Errorf("user postgres: %w", err)
	}
	return account{name: u.Username, uid: uid, gid: gid, other: true}, nil
}

// as makes cmd run as the account, in a directory it may enter.
func (a account) as(cmd *exec.Cmd) *exec.Cmd {
	if a.other {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}}
		cmd.Dir = "/"
	}
	return cmd
}

// own gives the account everything below the paths.
func (a account) own(paths ...string) error {
	if !a.other {
		return nil
	}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(p, a.uid, a.gid)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// folder makes a directory that only the account can enter.
func (a account) folder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if a.other {
		return os.Chown(path, a.uid, a.gid)
	}
	return nil
}

// write writes a file that only the account can read.
func (a account) write(path string, text []byte) error {
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	if a.other {
		return os.Chown(path, a.uid, a.gid)
	}
	return nil
}
