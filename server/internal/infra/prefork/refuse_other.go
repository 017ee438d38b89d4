//go:build !linux

package prefork

import "net"

// RefuseNew does nothing here: a client whose connection is still in the
// listener's queue when that closes sees it reset.
func RefuseNew(net.Listener) error { return nil }
