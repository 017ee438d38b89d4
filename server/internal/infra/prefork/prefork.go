// Package prefork runs one server as a master and several worker processes,
// each with a listening socket and a processor of its own. The processes are
// kept by fasthttp's prefork; this package adds what a service needs around it:
// sockets that outlive a worker, an orderly stop, and no crash loop.
package prefork

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/valyala/fasthttp/prefork"
	"github.com/valyala/fasthttp/reuseport"
	"golang.org/x/sys/unix"
)

// Descriptors a worker inherits, in the order of exec.Cmd's ExtraFiles. The
// first is fixed by fasthttp.
const (
	listenerFD = 3
	reportFD   = 4
	sharedFD   = 5 // and following
)

// childVariable marks a worker's environment. The name is fasthttp's, which
// Fiber reads too.
const childVariable = "FASTHTTP_PREFORK_CHILD=1"

// slotVariable tells a worker its slot's number.
const slotVariable = "PREFORK_SLOT"

// ready is what a worker reports when it serves; anything else is its reason
// for not doing so.
const ready = "ready"

// IsWorker tells whether this process is a worker.
func IsWorker() bool { return prefork.IsChild() }

// listen opens one listening socket per worker on addr. The kernel spreads new
// connections over them, and a connection that waits in the queue of a dead
// worker's socket is still there for its successor.
func listen(addr string, workers int) (listeners []*net.TCPListener, err error) {
	defer func() {
		if err != nil {
			closeAll(listeners)
			listeners = nil
		}
	}()
	addr, err = probe(addr)
	if err != nil {
		return nil, err
	}
	for range workers {
		ln, err := reuseport.Listen(network(addr), addr)
		if err != nil {
			return listeners, fmt.Errorf("listen on %s: %w", addr, err)
		}
		tcp, ok := ln.(*net.TCPListener)
		if !ok {
			return listeners, errors.Join(fmt.Errorf("listen on %s: got a %T", addr, ln), ln.Close())
		}
		listeners = append(listeners, tcp)
	}
	return listeners, nil
}

// probe makes sure that nobody else has the address, which SO_REUSEPORT alone
// would share with any process of the same user, and chooses a port for port 0.
func probe(addr string) (string, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "", fmt.Errorf("%s is taken: stop the program that listens there (`ss -ltnp` shows it) or set PORT to another", addr)
	}
	if err != nil {
		return "", fmt.Errorf("listen on %s: %w", addr, err)
	}
	chosen := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return "", fmt.Errorf("listen on %s: %w", addr, err)
	}
	return chosen, nil
}

// network is what fasthttp's reuseport wants to be told: it takes no plain "tcp".
func network(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return "tcp6"
	}
	return "tcp4"
}

// fileOf returns another descriptor of the listener's socket. Whoever hands down
// the one that net's File returns makes the socket block, for all who have it:
// a worker that waits in accept then can't be told to leave.
func fileOf(ln *net.TCPListener) (*os.File, error) {
	raw, err := ln.SyscallConn()
	if err != nil {
		return nil, err
	}
	var (
		fd    int
		fdErr error
	)
	err = raw.Control(func(socket uintptr) { fd, fdErr = unix.FcntlInt(socket, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, fdErr); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "listener"), nil
}

func closeAll(listeners []*net.TCPListener) {
	for _, ln := range listeners {
		_ = ln.Close() // ours is one copy of several; the worker's decides
	}
}
