package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProxyIsChecked(t *testing.T) {
	t.Parallel()
	good := Proxy{Trusted: []string{"10.1.2.3", "10.2.0.0/16", "fd00::/8"}, UserHeader: "X-Forwarded-User", RoleHeader: "X-Forwarded-Groups"}
	for name, c := range map[string]struct {
		change func(*Proxy)
		want   string
	}{
		"good":           {func(*Proxy) {}, ""},
		"nobody":         {func(p *Proxy) { p.Trusted = nil }, "http.proxy.trusted"},
		"everybody":      {func(p *Proxy) { p.Trusted = []string{"0.0.0.0/0"} }, "is everybody"},
		"a name":         {func(p *Proxy) { p.Trusted = []string{"proxy.internal"} }, `"proxy.internal" is not an address`},
		"no user header": {func(p *Proxy) { p.UserHeader = "" }, "http.proxy.user_header"},
		"no role header": {func(p *Proxy) { p.RoleHeader = "" }, "http.proxy.role_header"},
		"a login header": {func(p *Proxy) { p.UserHeader = "authorization" }, "http.proxy.user_header"},
	} {
		x := good
		c.change(&x)
		var p problems
		p.http(HTTP{Listen: ":8080", Proxy: &x})
		if c.want == "" {
			require.Empty(t, p, name)
			continue
		}
		require.ErrorContains(t, p.err(""), c.want, name)
	}
	require.Equal(t, RoleOperator, good.RoleOf("viewer, operator"))
	require.Equal(t, RoleViewer, good.RoleOf("viewer"))
	require.Empty(t, good.RoleOf("Operator, operators,"))
	good.Operators = []string{"on-call"}
	require.Empty(t, good.RoleOf("operator"), "the default does not count beside what is given")
}

// TestNoSecretIsShown puts a password into everything that can hold one.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	dsn, url := "u:"+secret+"@tcp(db:3306)/prewarm?x="+secret, "redis://u:"+secret+"@h:1/0?x="+secret
	var c Config
	filled := fill(reflect.ValueOf(&c).Elem(), "", func(path string) string {
		switch {
		case strings.HasSuffix(path, "dsn"), strings.HasSuffix(path, "replicas"):
			return dsn
		case strings.HasSuffix(path, "url"), strings.HasSuffix(path, "endpoint"):
			return url
		case strings.HasSuffix(path, "password"), strings.HasSuffix(path, ".token"), strings.HasSuffix(path, "secret"),
			strings.HasSuffix(path, "hash_key"), strings.HasSuffix(path, "."+unnamed):
			return secret
		}
		return "plain"
	})
	require.GreaterOrEqual(t, filled, 8, "secrets")
	require.NotContains(t, show(c.Redacted()), secret)
	require.Contains(t, show(c), secret, "the original keeps them")
}

func show(c Config) string {
	text := fmt.Sprintf("%+v %+v", c, *c.Cache)
	return text
}

// fill puts a text into every field that holds one, and says how many got something secret.
func fill(v reflect.Value, path string, text func(path string) string) (secrets int) {
	switch v.Kind() { //nolint:exhaustive // the others hold no text
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return fill(v.Elem(), path, text)
	case reflect.Struct:
		for i, name := range fieldNames(v.Type()) {
			secrets += fill(v.Field(i), path+"."+name, text)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		if v.Type().Key().Kind() != reflect.String {
			return 0
		}
		entry := reflect.New(v.Type().Elem()).Elem()
		secrets = fill(entry, path, text)
		v.SetMapIndex(reflect.ValueOf("main"), entry)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		return fill(v.Index(0), path, text)
	case reflect.String:
		v.SetString(text(path))
		if v.String() != "plain" {
			return 1
		}
	}
	return secrets
}
