package config

import (
	"reflect"
	"slices"
	"strings"
)

// EnvPrefix begins the variables that override single settings: the field's path in capitals, joined with "_".
// policy.expire.after_end is PREWARM_POLICY_EXPIRE_AFTER_END, sources.main.dsn is PREWARM_SOURCES_MAIN_DSN (which also
// makes a source `main` that the file does not have), queue.addrs is a list with commas. Tokens, alert sinks and datasets
// cannot be set this way. An empty variable counts as not set, and variables that name no field are left alone: Kubernetes makes
// PREWARM_PORT and the like of a service called prewarm.
const EnvPrefix = "PREWARM_"

func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, kv := range environ {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	return env
}

// overlay puts the variables that begin with name into dst and says whether there was one.
func (d *decoder) overlay(dst reflect.Value, name string) bool {
	switch {
	case dst.Kind() == reflect.Pointer:
		return d.overlayPointer(dst, name)
	case dst.Kind() == reflect.Struct:
		set := false
		for i, f := range fieldNames(dst.Type()) {
			sep := "_"
			if name == EnvPrefix {
				sep = ""
			}
			set = d.overlay(dst.Field(i), name+sep+envName(f)) || set
		}
		return set
	case dst.Kind() == reflect.Map:
		return d.overlayMap(dst, name)
	}
	text := d.env[name]
	if text == "" {
		return false
	}
	if dst.Kind() == reflect.Slice {
		if dst.Type().Elem().Kind() != reflect.String {
			return false
		}
		dst.Set(reflect.ValueOf(splitList(text)))
		return true
	}
	if wrong := setText(dst, text); wrong != "" {
		d.add(name, wrong, "correct or unset the environment variable")
	}
	return true
}

// overlayPointer makes what is missing only if a variable sets a part of it.
func (d *decoder) overlayPointer(dst reflect.Value, name string) bool {
	fresh := reflect.New(dst.Type().Elem())
	if !dst.IsNil() {
		fresh.Elem().Set(dst.Elem())
	}
	set := d.overlay(fresh.Elem(), name)
	if set {
		dst.Set(fresh)
	}
	return set
}

func (d *decoder) overlayMap(dst reflect.Value, name string) bool {
	if dst.IsNil() {
		dst.Set(reflect.MakeMap(dst.Type()))
	}
	keys := map[string]string{} // by their name in the environment
	for _, k := range dst.MapKeys() {
		keys[envName(k.String())] = k.String()
	}
	for v, text := range d.env {
		rest, ok := strings.CutPrefix(v, name+"_")
		key, isDSN := strings.CutSuffix(rest, "_DSN")
		if ok && isDSN && key != "" && text != "" && keys[key] == "" {
			keys[key] = strings.ToLower(key)
		}
	}
	set := false
	for env, key := range keys {
		entry := reflect.New(dst.Type().Elem()).Elem()
		if old := dst.MapIndex(reflect.ValueOf(key)); old.IsValid() {
			entry.Set(old)
		}
		if d.overlay(entry, name+"_"+env) {
			dst.SetMapIndex(reflect.ValueOf(key), entry)
			set = true
		}
	}
	return set
}

func envName(field string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, field)
}

func splitList(text string) []string {
	parts := strings.Split(text, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}
