// Package deploy_test checks that the files of this folder fit the program and each other.
package deploy_test

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prewarm-go/prewarm/internal/config"
	"github.com/prewarm-go/prewarm/internal/source"
	"github.com/prewarm-go/prewarm/internal/testenv"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// compose is what of docker-compose.yml other files rely on.
type compose struct {
	Services map[string]struct {
		Build struct {
			Dockerfile string `yaml:"dockerfile"`
		} `yaml:"build"`
		Environment map[string]string `yaml:"environment"`
		Healthcheck struct {
			Test []string `yaml:"test"`
		} `yaml:"healthcheck"`
		Volumes []string `yaml:"volumes"`
		Ports   []string `yaml:"ports"`
		Configs []struct {
			Target string `yaml:"target"`
		} `yaml:"configs"`
	} `yaml:"services"`
}

func readCompose(t *testing.T) compose {
	t.Helper()
	text, err := os.ReadFile("../docker-compose.yml")
	require.NoError(t, err)
	var c compose
	require.NoError(t, yaml.Unmarshal(text, &c))
	return c
}

func TestComposeMountsFilesThatExistAndOpensPortsToThisMachineOnly(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	require.Len(t, c.Services, 8)
	for name, service := range c.Services {
		require.NotEmpty(t, service.Healthcheck.Test, name)
		for _, port := range service.Ports {
			require.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s: %s", name, port)
		}
		for _, volume := range service.Volumes {
			if source, _, _ := strings.Cut(volume, ":"); strings.HasPrefix(source, "./") {
				require.FileExists(t, mustFile(t, "../"+source), name)
			}
		}
		if service.Build.Dockerfile != "" {
			require.FileExists(t, "../"+service.Build.Dockerfile)
		}
	}
}

// mustFile is the name itself, or for a folder the name of a file in it.
func mustFile(t *testing.T, name string) string {
	t.Helper()
	info, err := os.Stat(name)
	require.NoError(t, err)
	if !info.IsDir() {
		return name
	}
	entries, err := os.ReadDir(name)
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	return name + "/" + entries[0].Name()
}

func TestThePodsConfigurationNamesTheServicesOfCompose(t *testing.T) {
	t.Parallel()
	c := readCompose(t)
	cfg := load(t, c)
	require.Equal(t, "redis://queue:6379/0", cfg.Queue.URL)
	require.Contains(t, c.Services, "queue")
	require.Equal(t, "redis://cache:6379/0", cfg.Cache.URL)
	require.Contains(t, c.Services, "cache")
	require.Contains(t, cfg.Ledger.DSN, "@tcp(mysql:3306)/prewarm")
	require.Contains(t, cfg.Sources["main"].DSN, "@tcp(mysql:3306)/shop")
	require.Contains(t, c.Services, "mysql")
	require.Equal(t, "http://alertmanager:9093", cfg.Alerts.Sinks[0].URL)
	require.Contains(t, c.Services, "alertmanager")
	require.Len(t, cfg.Datasets, 5)
}

// load reads prewarm.yaml as a pod of compose does, with the token's file in a folder of the test.
func load(t *testing.T, c compose) config.Config {
	t.Helper()
	pod := c.Services["prewarm-1"]
	require.Len(t, pod.Configs, 1)
	text, err := os.ReadFile("prewarm.yaml")
	require.NoError(t, err)
	require.Contains(t, string(text), "token_file: "+pod.Configs[0].Target+"}")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/token", []byte("secret"), 0o600))
	text = []byte(strings.ReplaceAll(string(text), pod.Configs[0].Target, dir+"/token"))
	require.NoError(t, os.WriteFile(dir+"/prewarm.yaml", text, 0o600))
	var environ []string
	for name, value := range pod.Environment {
		environ = append(environ, name+"="+value)
	}
	cfg, err := config.Load(dir+"/prewarm.yaml", environ)
	require.NoError(t, err)
	return cfg
}

func TestTheSampleSchemaFitsTheDatasetsAndHoldsABigShopAndASmallOne(t *testing.T) {
	t.Parallel()
	server := testenv.OwnMySQL(t)
	db, err := sql.Open("mysql", server.DSN+"?multiStatements=true")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	sample, err := os.ReadFile("mysql/sample.sql")
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), "CREATE DATABASE shop CHARACTER SET utf8mb4")
	require.NoError(t, err)
	_, err = conn.ExecContext(t.Context(), string(sample))
	require.NoError(t, err)
	for shop, want := range map[int][]int{1001: {1, 3, 20_000, 1_000, 2}, 1002: {1, 1, 12, 0, 0}} {
		for i, query := range []string{"shops WHERE id", "staff WHERE shop_id", "shop_users WHERE shop_id",
			"products WHERE shop_id", "marketing WHERE shop_id"} {
			var n int
			require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+query+" = ?", shop).Scan(&n))
			require.Equal(t, want[i], n, "%s %d", query, shop)
		}
	}
	cfg := load(t, readCompose(t))
	require.Greater(t, int64(20_000), cfg.Policy.WarmWhen.MinRows)
	require.Less(t, int64(12), cfg.Policy.WarmWhen.MinRows)
	shop, err := source.Open(t.Context(), "main", config.Source{DSN: "root@tcp(" + server.Addr + ")/shop"}, 2)
	require.NoError(t, err)
	defer shop.Close()
	for _, spec := range cfg.Datasets {
		bound, err := shop.Bind(t.Context(), spec)
		require.NoError(t, err)
		has, err := bound.Has(t.Context(), "1001")
		require.NoError(t, err)
		require.True(t, has, spec.Name)
	}
}
