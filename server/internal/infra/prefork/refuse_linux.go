package prefork

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// onlyHandshakesUnderWay is a socket filter: of what arrives at a listening
// socket it drops the segments that begin a connection, SYN without ACK, and
// passes the rest. A TCP socket's filter sees the segment from its TCP header
// on, whose byte 13 holds the flags.
var onlyHandshakesUnderWay = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: 0x12},        // ACK | SYN
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0x02, Jf: 1}, // SYN alone: the next line, else the one after
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},                          // drop
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},                     // pass
}

// RefuseNew lets no new connection reach the listener, while those whose
// handshake has begun still do: the kernel resets what waits in the queue of a
// listener that is closed, so the queue has to run dry first. A client that
// comes now hears nothing, asks again a second later, and finds the port closed
// or a successor there.
func RefuseNew(ln net.Listener) error {
	conn, ok := ln.(syscall.Conn)
	if !ok {
		return fmt.Errorf("refuse new connections on a %T", ln)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("refuse new connections: %w", err)
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{
			Len:    uint16(len(onlyHandshakesUnderWay)),
			Filter: &onlyHandshakesUnderWay[0],
		})
	})
	if err := errors.Join(err, setErr); err != nil {
		return fmt.Errorf("refuse new connections: %w", err)
	}
	return nil
}
