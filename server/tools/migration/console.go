package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
)

// console is the person, or the program, at the other end.
type console struct {
	in          io.Reader
	interactive bool // somebody can answer a question
	out, err    *lines
	yes         bool // YES=1: every question is answered already
}

// lines writes whole lines, from many shards at once.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lines) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// A console that went away is no reason to leave a migration half way.
	_, _ = fmt.Fprintf(l.w, format+"\n", args...)
}

// confirm asks the person to type yes.
func (c console) confirm(question string) bool {
	c.err.printf("%s\nType yes to go on:", question)
	answer, _ := bufio.NewReader(c.in).ReadString('\n')
	return strings.TrimSpace(answer) == "yes"
}
