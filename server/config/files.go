package config

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/joho/godotenv"
)

// file is a file of settings and what it says.
type file struct {
	path   string
	values map[string]string
}

// readFiles finds .env and .env.secrets, each in the first of the directories
// that has it, in falling order of precedence.
func readFiles(dirs ...string) (files []file, problems Problems) {
	for _, name := range []string{".env", ".env.secrets"} {
		for _, dir := range dirs {
			path := filepath.Join(dir, name)
			text, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				problems.add(path, "cannot be read: %v", err)
				break
			}
			values, err := godotenv.UnmarshalBytes(text)
			if err != nil {
				// The parser's message quotes the file, and may quote a password.
				problems.add(path, "has a line that is not NAME=value")
				break
			}
			files = append(files, file{path, values})
			break
		}
	}
	return files, problems
}

// merge keeps the variables we know, the earliest source first.
func merge(environ []string, files []file) map[string]string {
	values := make(map[string]string)
	sources := []map[string]string{toMap(environ)}
	for _, f := range files {
		sources = append(sources, f.values)
	}
	for _, source := range sources {
		for name, value := range source {
			if values[name] == "" && value != "" && isKnown(name) {
				values[name] = value
			}
		}
	}
	return values
}

func toMap(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			m[name] = value
		}
	}
	return m
}

func without(values map[string]string, name string) map[string]string {
	rest := maps.Clone(values)
	delete(rest, name)
	return rest
}
