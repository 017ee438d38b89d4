package bootstrap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/freshness"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/metrics"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/prefork"
	"github.com/messenger-clone/messenger-clone-api/server/internal/infra/ratelimit"
)

//go:embed processes.go reload.go
var source embed.FS

// Generation tells programs apart whose workers can't serve under one master: it
// is a hash of the code that a master runs and of what lays out the shared memory.
func Generation() (string, error) {
	hash := sha256.New()
	for _, files := range []embed.FS{source, prefork.Source, freshness.Source, metrics.Source, ratelimit.Source} {
		err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := files.ReadFile(path)
			fmt.Fprintf(hash, "%s %d\n%s", path, len(text), text)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("hash our source: %w", err)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)[:16]), nil
}

// reload implements prefork.Master.Reload. It has the program that is on disk
// now check the settings as they are now: it may want others than we do.
func reload(ctx context.Context, running config.Config) (prefork.Reload, error) {
	next, err := config.Load(required...)
	if err != nil {
		return prefork.Reload{}, fmt.Errorf("settings: %w", err)
	}
	theirs, err := generationOnDisk(ctx)
	if err != nil {
		return prefork.Reload{}, fmt.Errorf("the new program: %w", err)
	}
	ours, err := Generation()
	if err != nil {
		return prefork.Reload{}, err
	}
	news := prefork.Reload{Environ: next.Environ(), Companion: next.AdminAddr != config.Off}
	if names := running.NeedsRestart(next); len(names) > 0 {
		news.Restart = strings.Join(names, ", ") + " changed"
	} else if theirs != ours {
		news.Restart = "the master's own code or the memory that workers share changed"
	}
	return news, nil
}

func generationOnDisk(ctx context.Context) (string, error) {
	executable, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find our executable: %w", err)
	}
	out, err := exec.CommandContext(ctx, executable, "-generation").Output() //nolint:gosec // it is ourselves
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return "", errors.New(string(bytes.TrimSpace(exit.Stderr)))
	}
	if err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(out)), nil
}
