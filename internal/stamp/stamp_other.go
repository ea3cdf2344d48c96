//go:build !linux

package stamp

import (
	"net"
	"time"
)

type receiver struct{ net.Conn }

func newReceiver(net.Conn) (receiver, bool) { return receiver{}, false }

func (r receiver) receive(p []byte) (n int, at time.Time, err error) {
	n, err = r.Read(p)
	return n, time.Time{}, err
}
