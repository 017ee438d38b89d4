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
// something to say on it unasked, which is why it will close it. It goes by
// Control, since Read would wait for the connection's read lock: after a slow
// write pgx leaves a goroutine reading in the background, which holds it for as
// long as the server is silent.
func isDead(conn syscall.Conn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	dead := false
	err = raw.Control(func(fd uintptr) {
		var next [1]byte
		_, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		dead = !errors.Is(err, syscall.EAGAIN)
	})
	return dead || errors.Is(err, net.ErrClosed)
}
