package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// fetchCommand is the hidden command by which root runs fetchPostgres as another user.
const fetchCommand = "fetch-postgres"

// fetchedVersion is the PostgreSQL that is fetched where none is installed.
const fetchedVersion = "16.14.0"

// archiveSums pins the archives of fetchedVersion (SHA-256), beyond the checksum that
// the repository itself serves beside each.
var archiveSums = map[string]string{
	"linux-amd64":  "77eac54dd8e936ca817420c59c6251e5a07c1ad140941270999c18126c027c02",
	"linux-arm64":  "5883cd9540dd138ff594463b705d164b23bbfb650468a232aa2730371728f9fe",
	"darwin-amd64": "e3f9962ad77632aa99901aa68ecfef878c49e916c337804408f0037deeb136e6",
	"darwin-arm64": "bc34c59637702d73d7bad7e17620c33be6fd219a28609eb26fdb36b85e6f89fd",
}

// fetchedPostgres returns the folder of the fetched programs, fetching them
// the first time.
func (c *cluster) fetchedPostgres(ctx context.Context) (string, error) {
	cache, err := c.cacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "postgresql-"+fetchedVersion)
	bin := filepath.Join(dir, "bin")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	err = c.out.step("fetching", "fetched", "PostgreSQL "+fetchedVersion+" (15 MB, once per user)", func() error {
		if err := os.MkdirAll(cache, 0o755); err != nil {
			return err
		}
		if !c.account.other {
			return fetchPostgres(dir)
		}
		if err := os.Chown(cache, c.account.uid, c.account.gid); err != nil {
			return err
		}
		return c.fetchAsAccount(ctx, dir)
	})
	return bin, err
}

// fetchAsAccount runs a copy of this program, which the account may execute.
func (c *cluster) fetchAsAccount(ctx context.Context, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	copied := filepath.Join(filepath.Dir(dir), "fetch")
	if err := os.WriteFile(copied, text, 0o755); err != nil {
		return err
	}
	defer os.Remove(copied)
	cmd := c.account.as(exec.CommandContext(ctx, copied, fetchCommand, dir))
	cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(dir))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s", bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(said.Bytes()), []byte("error: "))))
	}
	return nil
}

// fetchPostgres fetches the programs into dir, which appears only when they
// are complete, verified and have run a server once.
func fetchPostgres(dir string) error {
	work := dir + ".partial"
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	port, err := freePort()
	if err != nil {
		return err
	}
	var said bytes.Buffer
	archives, programs := filepath.Join(work, "archive"), filepath.Join(work, "programs")
	server := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(fetchedVersion).
		CachePath(archives).
		BinariesPath(programs).
		RuntimePath(filepath.Join(work, "runtime")).
		DataPath(filepath.Join(work, "data")).
		Port(uint32(port)).
		Password(rand.Text()).
		Logger(&said))
	if err := server.Start(); err != nil {
		return fmt.Errorf("fetch PostgreSQL %s: %w (%s); check the network, or install PostgreSQL 16 and set POSTGRES_BIN", fetchedVersion, err, lastLine(said.Bytes()))
	}
	if err := server.Stop(); err != nil {
		return fmt.Errorf("stop the fetched PostgreSQL: %w", err)
	}
	if err := verifyArchive(archives); err != nil {
		return err
	}
	return os.Rename(programs, dir)
}

func verifyArchive(dir string) error {
	platform := runtime.GOOS + "-" + runtime.GOARCH
	want, known := archiveSums[platform]
	if !known {
		return fmt.Errorf("no PostgreSQL %s is known for %s: install PostgreSQL 16 and set POSTGRES_BIN", fetchedVersion, platform)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.txz"))
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return fmt.Errorf("fetch PostgreSQL: want one archive in %s, got %d", dir, len(files))
	}
	f, err := os.Open(files[0])
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("fetched PostgreSQL %s for %s has SHA-256 %s, want %s: do not trust it; try again on another network", fetchedVersion, platform, got, want)
	}
	return nil
}

// freePort asks the system for a loopback port nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	address, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("a TCP listener has the address %v", l.Addr())
	}
	return address.Port, nil
}

func lastLine(text []byte) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.TrimSpace(lines[len(lines)-1]))
}
