package config

import _ "embed"

// Example is a commented prewarm.yaml whose values are the defaults.
//
//go:embed example.yaml
var Example []byte
