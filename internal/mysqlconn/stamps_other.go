//go:build !linux

package mysqlconn

import (
	"net"
	"time"
)

type stamps struct{ net.Conn }

func newStamps(net.Conn) *stamps { return nil }

func (s *stamps) receive(p []byte) (n int, at time.Time, err error) {
	n, err = s.Read(p)
	return n, time.Time{}, err
}
