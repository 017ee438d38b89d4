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
	err := control(ln, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{
			Len:    uint16(len(onlyHandshakesUnderWay)),
			Filter: &onlyHandshakesUnderWay[0],
		})
	})
	if err != nil {
		return fmt.Errorf("refuse new connections: %w", err)
	}
	return nil
}

// AcceptSilent has the listener accept connections as soon as their handshake is
// done. Until then the kernel keeps to itself those on which nothing has come
// (TCP_DEFER_ACCEPT, tcp(7)), where nobody can wait for them.
func AcceptSilent(ln net.Listener) error {
	err := control(ln, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 0)
	})
	if err != nil {
		return fmt.Errorf("accept silent connections: %w", err)
	}
	return nil
}

// queued returns how many connections wait to be accepted. Of a listening socket
// that is what TCP_INFO has in this field (Linux, tcp_get_info).
func queued(ln net.Listener) (waiting int, err error) {
	err = control(ln, func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			waiting = int(info.Unacked)
		}
		return err
	})
	return waiting, err
}

// unread returns how many bytes have come on a connection that nobody has read.
func unread(c net.Conn) (bytes int, err error) {
	err = control(c, func(fd int) error {
		bytes, err = unix.IoctlGetInt(fd, unix.SIOCINQ)
		return err
	})
	return bytes, err
}

// control calls f with the descriptor of a listener or a connection.
func control(socket any, f func(fd int) error) error {
	s, ok := socket.(syscall.Conn)
	if !ok {
		return fmt.Errorf("a %T has no descriptor", socket)
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	var said error
	err = raw.Control(func(fd uintptr) { said = f(int(fd)) })
	return errors.Join(err, said)
}
