package email

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/alert/alerttest"
	"github.com/stretchr/testify/require"
)

// server is a mail server for one connection: enough of RFC 5321, 3207 and 4954 to take a mail.
type server struct {
	addr  string
	roots *x509.CertPool
	cert  tls.Certificate
	mails chan taken
}

type taken struct {
	secure   bool
	login    string // the AUTH PLAIN argument
	from, to []string
	text     string
}

func newServer(t *testing.T, offers bool, implicit bool) *server {
	t.Helper()
	s := &server{mails: make(chan taken, 1)}
	s.certify(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	s.addr = l.Addr().String()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if implicit {
			conn = s.secure(conn)
		}
		s.talk(conn, taken{secure: implicit}, offers)
	}()
	return s
}

func (s *server) certify(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	s.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	s.roots = x509.NewCertPool()
	s.roots.AddCert(parsed)
}

func (s *server) secure(conn net.Conn) net.Conn {
	return tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.cert}, MinVersion: tls.VersionTLS12})
}

func (s *server) talk(conn net.Conn, m taken, offers bool) {
	r := bufio.NewReader(conn)
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 test")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			if offers && !m.secure {
				say("250-test\r\n250 STARTTLS")
			} else {
				say("250-test\r\n250 AUTH PLAIN")
			}
		case "STARTTLS":
			say("220 go on")
			conn = s.secure(conn)
			r, m.secure = bufio.NewReader(conn), true
		case "AUTH":
			m.login = rest
			say("235 ok")
		case "MAIL":
			m.from = append(m.from, rest)
			say("250 ok")
		case "RCPT":
			m.to = append(m.to, rest)
			say("250 ok")
		case "DATA":
			say("354 go on")
			for {
				text, err := r.ReadString('\n')
				if err != nil || text == ".\r\n" {
					break
				}
				m.text += text
			}
			s.mails <- m
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		}
	}
}

func (s *server) sink(security string) Sink {
	return Sink{Server: s.addr, From: "prewarm@example.com", To: []string{"a@example.com", "b@example.com"}, Username: "u", Password: "p", Security: security, Roots: s.roots}
}

func TestAMailIsSentProtectedAndSaysAll(t *testing.T) {
	t.Parallel()
	for security, implicit := range map[string]bool{StartTLS: false, TLS: true} {
		s := newServer(t, true, implicit)
		m := alert.Message{Items: []alert.Item{alerttest.Item(1), alerttest.Over(2)}}
		require.NoError(t, s.sink(security).Send(t.Context(), m), security)
		got := <-s.mails
		require.True(t, got.secure)
		require.Equal(t, "PLAIN AHUAcA==", got.login)
		require.Equal(t, []string{"FROM:<prewarm@example.com>"}, got.from)
		require.Equal(t, []string{"TO:<a@example.com>", "TO:<b@example.com>"}, got.to)

		// RFC 5322 and 2047.
		read, err := mail.ReadMessage(strings.NewReader(got.text))
		require.NoError(t, err)
		subject, err := (&mime.WordDecoder{}).DecodeHeader(read.Header.Get("Subject"))
		require.NoError(t, err)
		require.Equal(t, "prewarm: 1 warning, 1 resolved", subject)
		_, err = read.Header.Date()
		require.NoError(t, err)
		to, err := read.Header.AddressList("To")
		require.NoError(t, err)
		require.Len(t, to, 2)
		body, err := io.ReadAll(quotedprintable.NewReader(read.Body))
		require.NoError(t, err)
		require.Contains(t, string(body), "直播")
		require.Contains(t, string(body), "[resolved]")
		require.Contains(t, string(body), "Time: 4m0s late\r\n")
	}
}

func TestNothingIsSentUnprotectedAgainstTheConfiguration(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, false)
	require.ErrorContains(t, s.sink(StartTLS).Send(t.Context(), alerttest.Messages()["one"]), "does not offer STARTTLS")
	strange := newServer(t, true, false)
	sink := strange.sink(StartTLS)
	sink.Roots = x509.NewCertPool()
	require.ErrorContains(t, sink.Send(t.Context(), alerttest.Messages()["one"]), "protect the connection")
}

func TestASummaryCannotAddHeaders(t *testing.T) {
	t.Parallel()
	i := alerttest.Item(1)
	i.Summary = "x\r\nBcc: all@example.com\r\n\r\nhello"
	read, err := mail.ReadMessage(strings.NewReader(string(compose(Sink{From: "a@b.c", To: []string{"a@b.c"}}, alert.Message{Items: []alert.Item{i}}, time.Now()))))
	require.NoError(t, err)
	require.Empty(t, read.Header.Get("Bcc"))
}

func TestAServerThatSaysNothingIsGivenUp(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.Error(t, Sink{Server: l.Addr().String(), Security: None}.Send(ctx, alerttest.Messages()["one"]))
}

func TestAMailThatIsSentAgainHasTheSameID(t *testing.T) {
	t.Parallel()
	id := func(i alert.Item, at time.Time) string {
		read, err := mail.ReadMessage(strings.NewReader(string(compose(Sink{}, alert.Message{Items: []alert.Item{i}}, at))))
		require.NoError(t, err)
		return read.Header.Get("Message-ID")
	}
	now := time.Now()
	require.Equal(t, id(alerttest.Item(1), now), id(alerttest.Item(1), now.Add(time.Minute)))
	require.NotEqual(t, id(alerttest.Item(1), now), id(alerttest.Over(1), now))
}
