package basebackup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/progress"
)

// Free is how many bytes an ordinary user may write below a folder.
func Free(dir string) (int64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("how much is free in %s: %w", dir, err)
	}
	return int64(disk.Bavail * uint64(disk.Bsize)), nil
}

// CheckRoom fails when a folder's disk lacks the room for the shards, and for their replicas where they have some, beside what is there.
func (m *Manifest) CheckRoom(folder string, replicas bool) error {
	free, err := Free(folder)
	if err != nil {
		return err
	}
	need := m.Unpacked()
	if replicas {
		need *= 2
	}
	if free < need {
		return fmt.Errorf("the disk of %s has %s free, and the restored shards need %s, beside what is there until they are verified: make room",
			folder, progress.Size(free), progress.Size(need))
	}
	return nil
}

// Check reads every file of the backup in dir and compares its checksum.
func (m *Manifest) Check(ctx context.Context, dir string, display *progress.Display) error {
	g, ctx := errgroup.WithContext(ctx)
	bar := display.Bar("checking", progress.Bytes, m.Packed(), 0)
	for _, s := range m.Shards {
		g.Go(func() error {
			for _, f := range s.Files {
				if err := f.check(ctx, dir, bar); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (f *File) check(ctx context.Context, dir string, bar *progress.Bar) error {
	file, err := os.Open(filepath.Join(dir, f.Name))
	if err != nil {
		return fmt.Errorf("the backup is not whole: %w", err)
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(hash, counted(ctx, bar)), file)
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != f.SHA256 || size != f.Size {
		return fmt.Errorf("%s is damaged: it has %d bytes and checksum %s, its manifest says %d and %s: use another backup", file.Name(), size, got, f.Size, f.SHA256)
	}
	return nil
}

// counted shows what is written to it, and ends with the context.
func counted(ctx context.Context, bar *progress.Bar) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		bar.Add(int64(len(b)))
		return len(b), ctx.Err()
	})
}

// Extract makes a data folder of one shard's part. What it makes is complete, checked and on the disk when it returns nil.
func (m *Manifest) Extract(ctx context.Context, dir string, i int, target string, display *progress.Display) error {
	s := &m.Shards[i]
	bar := display.Bar(s.Name, progress.Bytes, s.DataBytes+s.WALBytes, 0)
	err := s.extractData(ctx, dir, target, bar)
	if err == nil {
		err = s.extractWAL(ctx, dir, target, bar)
	}
	if err != nil {
		return fmt.Errorf("%s: unpack: %w", s.Name, err)
	}
	bar.Finish(s.DataBytes + s.WALBytes)
	syscall.Sync() // thousands of small files: all at once
	return nil
}

// extractData unpacks the data folder and compares each file with PostgreSQL's own list.
func (s *Shard) extractData(ctx context.Context, dir, target string, bar *progress.Bar) error {
	sums := make(map[string]string)
	err := unpack(filepath.Join(dir, s.dataFile()), func(r io.Reader) error {
		archive := tar.NewReader(io.TeeReader(r, counted(ctx, bar)))
		for {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if !filepath.IsLocal(header.Name) {
				return fmt.Errorf("a file outside of the folder: %q", header.Name)
			}
			path := filepath.Join(target, header.Name)
			switch header.Typeflag {
			case tar.TypeDir:
				err = os.MkdirAll(path, 0o700)
			case tar.TypeReg:
				sums[filepath.Clean(header.Name)], err = writeSummed(path, archive)
			default:
				err = fmt.Errorf("%q is neither a file nor a folder", header.Name)
			}
			if err != nil {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	return s.compare(dir, sums)
}

func writeSummed(path string, r io.Reader) (sum string, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(file, hash), r)
	return hex.EncodeToString(hash.Sum(nil)), err
}

// compare holds what was unpacked against the manifest that the server made while it copied (manual 77).
func (s *Shard) compare(dir string, sums map[string]string) error {
	text, err := os.ReadFile(filepath.Join(dir, s.manifestFile()))
	if err != nil {
		return err
	}
	var list struct {
		Files []struct {
			Path     string
			Checksum string
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("%s: %w", s.manifestFile(), err)
	}
	if len(list.Files) == 0 {
		return fmt.Errorf("%s names no files", s.manifestFile())
	}
	for _, f := range list.Files {
		if sums[f.Path] != f.Checksum {
			return fmt.Errorf("%s is missing or damaged: want checksum %s, got %q", f.Path, f.Checksum, sums[f.Path])
		}
	}
	return nil
}

// extractWAL cuts the log into the files that PostgreSQL reads. What follows the cut in the last one is zeros, where replay ends.
func (s *Shard) extractWAL(ctx context.Context, dir, target string, bar *progress.Bar) error {
	if s.History != "" {
		if err := os.WriteFile(filepath.Join(target, "pg_wal", fmt.Sprintf("%08X.history", s.Timeline)), []byte(s.History), 0o600); err != nil {
			return err
		}
	}
	return unpack(filepath.Join(dir, s.walFile()), func(r io.Reader) error {
		r = io.TeeReader(r, counted(ctx, bar))
		for at := s.Start.segment(s.SegmentSize); at < s.Cut; at += LSN(s.SegmentSize) {
			path := filepath.Join(target, "pg_wal", at.segmentName(s.Timeline, s.SegmentSize))
			file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			want := min(s.SegmentSize, int64(s.Cut-at))
			if _, err := io.CopyN(file, r, want); err != nil {
				return errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
			}
			if err := errors.Join(file.Truncate(s.SegmentSize), file.Close()); err != nil {
				return err
			}
		}
		return nil
	})
}

func unpack(path string, read func(io.Reader) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	zip, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer zip.Close()
	return read(zip)
}
