//go:build !linux

package prefork

import "net"

// RefuseNew does nothing here: a client whose connection is still in the
// listener's queue when that closes sees it reset.
func RefuseNew(net.Listener) error { return nil }

// AcceptSilent does nothing here, where no connection is kept back.
func AcceptSilent(net.Listener) error { return nil }

// queued knows of none here.
func queued(net.Listener) (int, error) { return 0, nil }

// unread knows of nothing here.
func unread(net.Conn) (int, error) { return 0, nil }
