package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
)

const postgresMajor = "16"

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)(\S*)`)

// findPostgres sets the folder of PostgreSQL's programs: POSTGRES_BIN, the PATH,
// Debian's folder, else pinned binaries that are fetched once per user.
func (c *cluster) findPostgres(ctx context.Context) error {
	if dir := c.env["POSTGRES_BIN"]; dir != "" {
		major, version, err := postgresVersion(ctx, dir)
		if err != nil {
			return fmt.Errorf("POSTGRES_BIN is %s, which has no working postgres: %w", dir, err)
		}
		if major != postgresMajor {
			return fmt.Errorf("POSTGRES_BIN is %s, which is PostgreSQL %s: this project needs major version %s; "+
				"name a folder of that version, or leave POSTGRES_BIN out to have one fetched", dir, version, postgresMajor)
		}
		c.postgres = dir
		return nil
	}
	var candidates []string
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			candidates = append(candidates, filepath.Dir(path))
		}
	}
	candidates = append(candidates, "/usr/lib/postgresql/"+postgresMajor+"/bin")
	for _, dir := range candidates {
		if major, _, err := postgresVersion(ctx, dir); err == nil && major == postgresMajor {
			c.postgres = dir
			return nil
		}
	}
	dir, err := c.fetchedPostgres(ctx)
	c.postgres = dir
	return err
}

// postgresVersion asks the server program in dir which version it is.
func postgresVersion(ctx context.Context, dir string) (major, version string, err error) {
	text, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return "", "", err
	}
	m := versionPattern.FindStringSubmatch(string(text))
	if m == nil {
		return "", "", fmt.Errorf("postgres --version says %q", text)
	}
	return m[1], m[1] + m[2], nil
}

// program finds a program that the system's package manager installs.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%s is missing: run `make up`, which installs it or says how", name)
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

// cacheDir is where fetched binaries are kept between projects and runs.
func (c *cluster) cacheDir() (string, error) {
	if c.account.other {
		return "/var/cache/messenger-clone", nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "messenger-clone"), err
}
