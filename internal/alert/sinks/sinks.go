// Package sinks owns the list of alert sinks: it makes them of the configuration.
package sinks

import (
	"fmt"
	"time"

	"github.com/prewarm-go/prewarm/internal/alert"
	"github.com/prewarm-go/prewarm/internal/alert/alertmanager"
	"github.com/prewarm-go/prewarm/internal/alert/dingtalk"
	"github.com/prewarm-go/prewarm/internal/alert/email"
	"github.com/prewarm-go/prewarm/internal/alert/feishu"
	"github.com/prewarm-go/prewarm/internal/alert/slack"
	"github.com/prewarm-go/prewarm/internal/alert/webhook"
	"github.com/prewarm-go/prewarm/internal/alert/wecom"
	"github.com/prewarm-go/prewarm/internal/config"
)

// Rests between two messages. DingTalk and WeCom take 20 a minute from a robot, and block it for minutes when there are more;
// machines are told what they ask for.
const (
	chatRest    = 15 * time.Second
	machineRest = 2 * time.Second
	mailRest    = time.Minute
)

// Targets are the configured sinks.
func Targets(a config.Alerts) ([]alert.Target, error) {
	var all []alert.Target
	for i, s := range a.Sinks {
		t, err := target(a, s)
		if err != nil {
			return nil, fmt.Errorf("alerts.sinks[%d]: %w", i, err)
		}
		all = append(all, t)
	}
	return all, nil
}

func target(a config.Alerts, s config.AlertSink) (alert.Target, error) {
	post := alert.Post{URL: s.URL, Token: s.Token, ContentType: s.ContentType}
	t := alert.Target{Name: s.Name, MinSeverity: s.MinSeverity, Repeat: a.Repeat, Rest: chatRest}
	switch s.Type {
	case config.SinkAlertmanager:
		t.Sink, t.Rest, t.Repeat = alertmanager.Sink{Post: post}, machineRest, alertmanager.Refresh
	case config.SinkWebhook:
		sink := webhook.Sink{Post: post}
		if s.Template != "" {
			parsed, err := webhook.Parse(s.Template)
			if err != nil {
				return t, fmt.Errorf("template: %w", err)
			}
			sink.Template = parsed
		}
		t.Sink, t.Rest = sink, machineRest
	case config.SinkFeishu:
		t.Sink = feishu.Sink{Post: post, Secret: s.Secret}
	case config.SinkDingTalk:
		t.Sink = dingtalk.Sink{Post: post, Secret: s.Secret}
	case config.SinkWeCom:
		t.Sink = wecom.Sink{Post: post}
	case config.SinkSlack:
		t.Sink = slack.Sink{Post: post}
	case config.SinkEmail:
		t.Sink, t.Rest = email.Sink{
			Server: s.Server, From: s.From, To: s.To, Username: s.Username, Password: s.Password, Security: s.Security,
		}, mailRest
	default:
		return t, fmt.Errorf("type %q is not known", s.Type)
	}
	return t, nil
}
