package binlog

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/go-sql-driver/mysql"
)

// login logs in by the driver and keeps the connection below it, on which the driver reads and writes only while it is
// asked something. TLS is done below the driver too, or what it reads could not be got at.
func login(ctx context.Context, dsn *mysql.Config) (driver.Conn, net.Conn, error) {
	session, conn, err := connect(ctx, dsn, dsn.TLS)
	if dsn.AllowFallbackToPlaintext && errors.Is(err, errNoTLS) {
		session, conn, err = connect(ctx, dsn, nil)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("log in to read the binlog: %w", err)
	}
	return session, conn, nil
}

func connect(ctx context.Context, dsn *mysql.Config, secret *tls.Config) (driver.Conn, net.Conn, error) {
	cfg := dsn.Clone()
	var below net.Conn
	dial, network, addr := cfg.DialFunc, cfg.Net, cfg.Addr
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if dial == nil {
			dial = (&net.Dialer{}).DialContext
		}
		conn, err := dial(ctx, network, addr)
		if err == nil && secret != nil {
			conn = &secured{Conn: conn, ctx: ctx, config: secret}
		}
		below = conn
		return conn, err
	}
	cfg.TLS, cfg.TLSConfig, cfg.AllowFallbackToPlaintext = nil, "", false
	if secret != nil {
		cfg.Net = "unix" // to the driver it is a way on which nobody listens: it may send what TLS hides
	}
	if err := cfg.Apply(mysql.EnableCompression(false)); err != nil {
		return nil, nil, err
	}
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, nil, err
	}
	conn, err := connector.Connect(ctx)
	if err == nil {
		return conn, below, nil
	}
	if below != nil {
		_ = below.Close()
	}
	if s, ok := below.(*secured); ok && s.failed != nil { // the driver says only that there is no connection
		err = s.failed
	}
	return nil, nil, err
}

const (
	clientSSL   = 1 << 11
	sslRequest  = 32 // bytes of the answer to the greeting that ask for TLS
	headerBytes = 4  // three of the length, one of the number
)

// secured changes over to TLS where the driver answers the greeting. The request for TLS is one packet more than the driver
// knows of, so that the numbers of the login's other packets are moved by one.
type secured struct {
	net.Conn
	ctx     context.Context
	config  *tls.Config
	greeted bool
	offered bool
	on      bool   // the login is still going on, over TLS
	rest    []byte // of a packet
	failed  error  // why there is no TLS
}

var errNoTLS = errors.New("the server does not offer TLS")

func (s *secured) Read(p []byte) (int, error) {
	if s.greeted && !s.on && len(s.rest) == 0 {
		return s.Conn.Read(p)
	}
	if len(s.rest) == 0 {
		if err := s.packet(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// packet reads one packet of the login.
func (s *secured) packet() error {
	head := make([]byte, headerBytes)
	if _, err := io.ReadFull(s.Conn, head); err != nil {
		return err
	}
	body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	if _, err := io.ReadFull(s.Conn, body); err != nil {
		return err
	}
	if s.on {
		head[3]--
	} else {
		s.greeted, s.offered = true, offersTLS(body)
		if !s.offered {
			s.failed = errNoTLS
			return errNoTLS
		}
	}
	s.rest = slices.Concat(head, body)
	return nil
}

// offersTLS reads the flags of a greeting: behind the version (text, 0), a number and nine bytes.
func offersTLS(greeting []byte) bool {
	for i := 1; i < len(greeting); i++ {
		if greeting[i] == 0 {
			at := i + 1 + 4 + 9
			return len(greeting) >= at+2 && binary.LittleEndian.Uint16(greeting[at:])&clientSSL != 0
		}
	}
	return false
}

func (s *secured) Write(p []byte) (int, error) {
	switch {
	case len(p) >= headerBytes+sslRequest && p[3] == 1 && !s.on && s.offered:
		if err := s.change(p); err != nil {
			return 0, err
		}
	case len(p) > 3 && p[3] == 0:
		s.on = false // a command: the login is over
	}
	if !s.on {
		return s.Conn.Write(p)
	}
	moved := append([]byte(nil), p...)
	moved[3]++
	if s.offered {
		moved[headerBytes+1] |= clientSSL >> 8
		s.offered = false
	}
	return s.Conn.Write(moved)
}

// change asks for TLS with the flags of the driver's own answer.
func (s *secured) change(answer []byte) error {
	ask := append([]byte{sslRequest, 0, 0, 1}, answer[headerBytes:headerBytes+sslRequest]...)
	ask[headerBytes+1] |= clientSSL >> 8
	if _, err := s.Conn.Write(ask); err != nil {
		return err
	}
	conn := tls.Client(s.Conn, s.config)
	if err := conn.HandshakeContext(s.ctx); err != nil {
		s.failed = fmt.Errorf("agree on TLS: %w", err)
		return s.failed
	}
	s.Conn, s.on = conn, true
	return nil
}

// dialTime bounds the login where the DSN does not.
const dialTime = 10 * time.Second
