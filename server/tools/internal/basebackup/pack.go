package basebackup

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// packer writes one file of a backup and notes its size and checksum.
type packer struct {
	file   *os.File
	zip    *zstd.Encoder // nil for a file that stays as it is
	hash   hash.Hash
	size   int64
	wrote  int64 // before packing
	target io.Writer
}

func newPacker(dir, name string, compressed bool) (*packer, error) {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	p := &packer{file: file, hash: sha256.New()}
	p.target = writerFunc(p.packed)
	if compressed {
		if p.zip, err = zstd.NewWriter(writerFunc(p.packed), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1)); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		p.target = p.zip
	}
	return p, nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func (p *packer) packed(b []byte) (int, error) {
	n, err := p.file.Write(b)
	p.size += int64(n)
	_, _ = p.hash.Write(b[:n]) // never fails
	return n, err
}

func (p *packer) Write(b []byte) (int, error) {
	n, err := p.target.Write(b)
	p.wrote += int64(n)
	return n, err
}

// finish makes the file last.
func (p *packer) finish() (File, error) {
	var errs []error
	if p.zip != nil {
		errs = append(errs, p.zip.Close())
	}
	errs = append(errs, p.file.Sync(), p.file.Close())
	return File{Name: filepath.Base(p.file.Name()), Size: p.size, SHA256: hex.EncodeToString(p.hash.Sum(nil))}, errors.Join(errs...)
}

func (p *packer) abandon() { _ = p.file.Close() } // the folder is removed

// fingerprint recognises passwords without giving them away; it is as slow to try as PostgreSQL's own verifiers in the data.
func fingerprint(salt string, passwords []string) (string, error) {
	key, err := pbkdf2.Key(sha256.New, strings.Join(passwords, "\n"), []byte(salt), 4096, 32)
	return hex.EncodeToString(key), err
}
