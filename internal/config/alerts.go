package config

import (
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Alerts says who is told of what goes wrong.
type Alerts struct {
	Repeat       time.Duration `yaml:"repeat"`        // what still stands is told again after this long; 0: never; default 4h
	ResolveAfter time.Duration `yaml:"resolve_after"` // what is not raised any more is over after this long; default 10m
	Runbooks     string        `yaml:"runbooks"`      // alerts link to NAME.md below it; default: those of the repository; "": no links
	Sinks        []AlertSink   `yaml:"sinks"`
}

// Types of sinks.
const (
	SinkAlertmanager = "alertmanager"
	SinkWebhook      = "webhook"
	SinkFeishu       = "feishu" // and Lark
	SinkDingTalk     = "dingtalk"
	SinkWeCom        = "wecom"
	SinkSlack        = "slack"
	SinkEmail        = "email"
)

var sinkTypes = []string{SinkAlertmanager, SinkWebhook, SinkFeishu, SinkDingTalk, SinkWeCom, SinkSlack, SinkEmail}

// AlertSink is one place where alerts are told.
type AlertSink struct {
	Type        string `yaml:"type"`
	Name        string `yaml:"name,omitempty"`         // default: the type
	MinSeverity string `yaml:"min_severity,omitempty"` // info, warning or critical; default info

	URL     string `yaml:"url,omitempty"` // a secret, for most types; of alertmanager without /api/v2
	URLFile string `yaml:"url_file,omitempty"`

	Secret     string `yaml:"secret,omitempty"` // dingtalk, feishu: of the signature
	SecretFile string `yaml:"secret_file,omitempty"`
	Token      string `yaml:"token,omitempty"` // webhook, alertmanager: sent as Authorization: Bearer
	TokenFile  string `yaml:"token_file,omitempty"`

	Template    string `yaml:"template,omitempty"`     // webhook: the body, by text/template
	ContentType string `yaml:"content_type,omitempty"` // webhook: default application/json

	Server       string   `yaml:"server,omitempty"` // email: host:port
	From         string   `yaml:"from,omitempty"`
	To           []string `yaml:"to,omitempty"`
	Username     string   `yaml:"username,omitempty"`
	Password     string   `yaml:"password,omitempty"`
	PasswordFile string   `yaml:"password_file,omitempty"`
	Security     string   `yaml:"security,omitempty"` // starttls, tls or none; default starttls
}

func (a *Alerts) fill() {
	for i := range a.Sinks {
		s := &a.Sinks[i]
		if s.Name == "" {
			s.Name = s.Type
		}
		if s.MinSeverity == "" {
			s.MinSeverity = "info"
		}
		if s.Type == SinkEmail && s.Security == "" {
			s.Security = "starttls"
		}
	}
}

func (s *AlertSink) files() []*string {
	return []*string{&s.URLFile, &s.SecretFile, &s.TokenFile, &s.PasswordFile}
}

func (s *AlertSink) readSecrets(p *problems, field string) {
	p.secret(field+".url", s.URLFile, &s.URL)
	p.secret(field+".secret", s.SecretFile, &s.Secret)
	p.secret(field+".token", s.TokenFile, &s.Token)
	p.secret(field+".password", s.PasswordFile, &s.Password)
}

func (a Alerts) redacted() Alerts {
	a.Sinks = slices.Clone(a.Sinks)
	for i := range a.Sinks {
		s := &a.Sinks[i]
		s.URL, s.Secret, s.Token, s.Password = hide(s.URL), hide(s.Secret), hide(s.Token), hide(s.Password)
	}
	return a
}

// shortestResolve leaves time for what stands to be raised again, which some callers do only every half minute.
const shortestResolve = time.Minute

func (p *problems) alerts(a Alerts) {
	p.duration("alerts.repeat", a.Repeat, 0, true)
	p.duration("alerts.resolve_after", a.ResolveAfter, shortestResolve, false)
	p.webURL("alerts.runbooks", a.Runbooks)
	names := map[string]bool{}
	for i, s := range a.Sinks {
		field := fmt.Sprintf("alerts.sinks[%d]", i)
		p.sink(field, s)
		if names[s.Name] {
			p.add(field+".name", "is used twice", "give each a name of its own")
		}
		names[s.Name] = true
	}
}

func (p *problems) sink(field string, s AlertSink) {
	if !slices.Contains(sinkTypes, s.Type) {
		p.add(field+".type", "is not a kind of sink", "write one of "+strings.Join(sinkTypes, ", "))
		return
	}
	if len(s.Name) > 64 || strings.ContainsFunc(s.Name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		p.add(field+".name", "is not a short name", "use up to 64 letters, digits and punctuation without spaces")
	}
	if !slices.Contains([]string{"info", "warning", "critical"}, s.MinSeverity) {
		p.add(field+".min_severity", "is not a severity", "write info, warning or critical")
	}
	for _, f := range s.foreign() {
		p.add(field+"."+f, "is not for a sink of this type", "remove it")
	}
	if s.Type == SinkEmail {
		p.mail(field, s)
		return
	}
	if s.URL == "" {
		p.add(field+".url", "is missing", "give url or url_file")
	}
	p.webURL(field+".url", s.URL)
}

// foreign are fields that are set and mean nothing to the sink's type.
func (s AlertSink) foreign() []string {
	var wrong []string
	for _, f := range []struct {
		name string
		set  bool
		of   []string
	}{
		{"url", s.URL != "", sinkTypes[:6]},
		{"secret", s.Secret != "", []string{SinkDingTalk, SinkFeishu}},
		{"token", s.Token != "", []string{SinkWebhook, SinkAlertmanager}},
		{"template", s.Template != "", []string{SinkWebhook}},
		{"content_type", s.ContentType != "", []string{SinkWebhook}},
		{"server", s.Server != "", []string{SinkEmail}},
		{"from", s.From != "", []string{SinkEmail}},
		{"to", len(s.To) > 0, []string{SinkEmail}},
		{"username", s.Username != "", []string{SinkEmail}},
		{"password", s.Password != "", []string{SinkEmail}},
		{"security", s.Security != "", []string{SinkEmail}},
	} {
		if f.set && !slices.Contains(f.of, s.Type) {
			wrong = append(wrong, f.name)
		}
	}
	return wrong
}

func (p *problems) mail(field string, s AlertSink) {
	if s.Server == "" {
		p.add(field+".server", "is missing", "write smtp.example.com:587, say")
	} else {
		p.address(field+".server", s.Server)
	}
	if len(s.To) == 0 {
		p.add(field+".to", "is missing", "name who gets the mail")
	}
	for i, addr := range append([]string{s.From}, s.To...) {
		if a, err := mail.ParseAddress(addr); err != nil || a.Address != addr {
			name := field + ".from"
			if i > 0 {
				name = fmt.Sprintf("%s.to[%d]", field, i-1)
			}
			p.add(name, "is not a mail address", "write name@example.com")
		}
	}
	if !slices.Contains([]string{"starttls", "tls", "none"}, s.Security) {
		p.add(field+".security", "is not a way to protect a connection", "write starttls, tls or none")
	}
}

// webURL checks an address without showing it; empty is fine.
func (p *problems) webURL(field, raw string) {
	if raw == "" {
		return
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		p.add(field, "is not a URL of the web", "write https://host/path")
	}
}
