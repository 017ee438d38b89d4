// Package host lets a program in a container have done what only the machine outside can: containers started,
// stopped and frozen. The program prints what is to be done, a line each, and reads how it went;
// scripts/docker-host.sh, which started it, is the other side.
package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Host is the other side.
type Host struct {
	mu      sync.Mutex
	deeds   io.Writer
	answers *bufio.Reader
}

// New speaks to it over a program's stdout and stdin.
func New(stdout io.Writer, stdin io.Reader) *Host {
	return &Host{deeds: stdout, answers: bufio.NewReader(stdin)}
}

// Do has one deed done, a word and its arguments, none with a space in it. It returns when it is done: what has
// begun outside is not called off.
func (h *Host) Do(words ...string) error {
	for _, w := range words {
		if w == "" || strings.ContainsAny(w, " \t\n*?[") {
			return fmt.Errorf("host: %q is no word", w)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	deed := strings.Join(words, " ")
	if _, err := fmt.Fprintf(h.deeds, "host: %s\n", deed); err != nil {
		return fmt.Errorf("%s: %w", deed, err)
	}
	answer, err := h.answers.ReadString('\n')
	switch answer = strings.TrimSpace(answer); {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%s: the command that started this has ended", deed)
	case err != nil:
		return fmt.Errorf("%s: %w", deed, err)
	case answer != "ok":
		return fmt.Errorf("%s: %s", deed, answer)
	}
	return nil
}
