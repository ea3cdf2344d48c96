// Package mysqlconn owns what all connections to MySQL and MariaDB have in common beside their DSN: the certificates of both
// sides, and what to do when these do not agree.
package mysqlconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/prewarm-go/prewarm/internal/config"
)

// Secure has a connection use the configured certificates; nil leaves it as its DSN says. field is where they stand, such as
// sources.main. Without a server_name the server is checked against the DSN's host.
func Secure(field string, dsn *mysql.Config, t *config.TLS) error {
	if t == nil {
		return nil
	}
	secure := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return fmt.Errorf("%s.tls.ca_file: %w", field, err)
		}
		secure.RootCAs = x509.NewCertPool()
		if !secure.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s.tls.ca_file: %s holds no certificate in PEM form", field, t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return fmt.Errorf("%s.tls.cert_file and key_file: %w", field, err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	dsn.TLS = secure
	return nil
}

// Numbers of what a server says to a connection that is not secured as it wants.
const (
	accessDenied = 1045 // MariaDB says no more than this when it wants TLS
	insecure     = 3159 // require_secure_transport of MySQL
)

// Explain says what is wrong between the certificates or the logins of a server and the configuration, and what to do about it;
// both are empty if that is not what failed. The words of the error are not among them.
func Explain(field string, dsn *mysql.Config, err error) (what, remedy string) {
	var (
		ca      x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		answer  *mysql.MySQLError
	)
	switch {
	case errors.As(err, &ca):
		return "has a certificate of an unknown authority", fmt.Sprintf("name the authority's certificate in %s.tls.ca_file", field)
	case errors.As(err, &host):
		return "has a certificate for another name", fmt.Sprintf("set %s.tls.server_name", field)
	case errors.As(err, &invalid):
		return "has a certificate that is not valid", "renew it, and check both clocks"
	case errors.Is(err, mysql.ErrNoTLS):
		return "does not offer TLS", fmt.Sprintf("give the server a certificate, or remove %s.tls", field)
	case certified(dsn) && closed(err):
		return "closed the TLS connection", fmt.Sprintf("check that %s.tls.cert_file is valid, and of an authority that the server trusts", field)
	case errors.As(err, &answer) && answer.Number == insecure:
		return "wants TLS", fmt.Sprintf("set %s.tls", field)
	case errors.As(err, &answer) && answer.Number == accessDenied:
		return fmt.Sprintf("refuses user %q", dsn.User), fmt.Sprintf("check the user and the password in %s.dsn or %s.password_file; %s", field, field, wanted(field, dsn))
	}
	return "", ""
}

// certified says whether we show a certificate.
func certified(dsn *mysql.Config) bool { return dsn.TLS != nil && len(dsn.TLS.Certificates) > 0 }

// closed says whether the server gave up on the connection. It looks at our certificate after its own part of TLS is done, so that
// the driver may see no more than the end.
func closed(err error) bool {
	if err == nil || errors.Is(err, mysql.ErrInvalidConn) {
		return err != nil
	}
	// The drivers' errors of a connection that ended have no type in common; nor has crypto/tls' alert one that can be named.
	return strings.Contains(err.Error(), "bad connection") || strings.Contains(err.Error(), "remote error: tls:")
}

// wanted is what a login may lack beside a password.
func wanted(field string, dsn *mysql.Config) string {
	switch {
	case dsn.TLS == nil:
		return fmt.Sprintf("a user with REQUIRE SSL or X509, and a server that wants TLS, need %s.tls", field)
	case !certified(dsn):
		return fmt.Sprintf("a user with REQUIRE X509 needs %s.tls.cert_file and key_file", field)
	}
	return fmt.Sprintf("what the user REQUIREs of a certificate, that of %s.tls.cert_file must be", field)
}
