// Package email owns the sink for e-mail by SMTP.
package email

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/smtp"
	"strings"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
)

// How the connection is protected.
const (
	StartTLS = "starttls" // the server must offer it
	TLS      = "tls"      // from the first byte on, as on port 465
	None     = "none"     // no password is sent then, but to this machine
)

// mostText is how long a mail is, in bytes.
const mostText = 100_000

// Sink sends by one server.
type Sink struct {
	Server             string // host:port
	From               string
	To                 []string
	Username, Password string         // "": no login
	Security           string         // StartTLS, TLS or None
	Roots              *x509.CertPool // nil: the system's
}

// Send implements alert.Sink.
func (s Sink) Send(ctx context.Context, m alert.Message) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Server)
	if err != nil {
		return fmt.Errorf("reach the mail server: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if limit, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(limit); err != nil {
			return fmt.Errorf("reach the mail server: %w", err)
		}
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c, err := s.greet(conn)
	if err != nil {
		return err
	}
	return s.deliver(c, compose(s, m, time.Now()))
}

// greet gets as far as a protected and logged-in session.
func (s Sink) greet(conn net.Conn) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(s.Server)
	if err != nil {
		return nil, fmt.Errorf("the mail server's address: %w", err)
	}
	secure := &tls.Config{ServerName: host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	if s.Security == TLS {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return nil, fmt.Errorf("greet the mail server: %w", err)
	}
	if s.Security == StartTLS {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return nil, errors.New("the mail server does not offer STARTTLS; use security: tls or none")
		}
		if err := c.StartTLS(secure); err != nil {
			return nil, fmt.Errorf("protect the connection to the mail server: %w", err)
		}
	}
	if s.Username != "" {
		if err := c.Auth(smtp.PlainAuth("", s.Username, s.Password, host)); err != nil {
			return nil, fmt.Errorf("log in to the mail server: %w", err)
		}
	}
	return c, nil
}

func (s Sink) deliver(c *smtp.Client, text []byte) error {
	err := c.Mail(s.From)
	for _, to := range s.To {
		if err == nil {
			err = c.Rcpt(to)
		}
	}
	if err != nil {
		return fmt.Errorf("the mail server refuses the mail: %w", err)
	}
	w, err := c.Data()
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close() // the server has it when this returns
	}
	if err != nil {
		return fmt.Errorf("hand the mail over: %w", err)
	}
	_ = c.Quit()
	return nil
}

// compose is pure. A message that is sent again has the same Message-ID, by which a mail server can drop it.
func compose(s Sink, m alert.Message, now time.Time) []byte {
	id := sha256.New()
	for _, i := range m.Items {
		fmt.Fprintf(id, "%s %d %d\n", i.Fingerprint, i.Seq, i.SentAt.UnixMicro())
	}
	var b bytes.Buffer
	head := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	head("From", s.From)
	head("To", strings.Join(s.To, ", "))
	head("Subject", mime.QEncoding.Encode("utf-8", alert.Cut(strings.Join(strings.Fields(m.Title()), " "), 200)))
	head("Date", now.Format(time.RFC1123Z))
	head("Message-ID", "<"+hex.EncodeToString(id.Sum(nil)[:16])+"@prewarm>")
	head("Auto-Submitted", "auto-generated")
	head("MIME-Version", "1.0")
	head("Content-Type", "text/plain; charset=utf-8")
	head("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(m.Text(mostText))) // into memory
	_ = w.Close()
	return b.Bytes()
}
