package shard

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// refuseDead refuses a pooled connection that its server has ended, before
// anything is sent on it: afterwards nobody could tell whether a statement
// ran. It looks without reading or waiting, which takes a microsecond.
func refuseDead(_ context.Context, conn *pgx.Conn) error {
	if tcp, ok := conn.PgConn().Conn().(syscall.Conn); ok && isDead(tcp) {
		return driver.ErrBadConn
	}
	return nil
}

// isDead tells whether the other side has closed the connection or has
// something to say on it unasked, which is why it will close it.
func isDead(conn syscall.Conn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	dead := false
	err = raw.Read(func(fd uintptr) bool {
		var next [1]byte
		_, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		dead = !errors.Is(err, syscall.EAGAIN)
		return true // looked once, without waiting
	})
	return dead || errors.Is(err, net.ErrClosed)
}
