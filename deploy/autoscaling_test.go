package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

// object is what of a Kubernetes object other files rely on.
type object struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec struct {
		Replicas        *int      `yaml:"replicas"`
		ScaleTargetRef  named     `yaml:"scaleTargetRef"`
		MinReplicaCount int       `yaml:"minReplicaCount"`
		MinReplicas     int       `yaml:"minReplicas"`
		Behavior        behaviour `yaml:"behavior"`
		Metrics         []struct {
			External struct {
				Metric named `yaml:"metric"`
				Target struct {
					AverageValue string `yaml:"averageValue"`
				} `yaml:"target"`
			} `yaml:"external"`
		} `yaml:"metrics"`
		Triggers []struct {
			MetricType string            `yaml:"metricType"`
			Metadata   map[string]string `yaml:"metadata"`
		} `yaml:"triggers"`
		Advanced struct {
			HPA struct {
				Behavior behaviour `yaml:"behavior"`
			} `yaml:"horizontalPodAutoscalerConfig"`
		} `yaml:"advanced"`
		Template struct {
			Spec struct {
				Grace      int `yaml:"terminationGracePeriodSeconds"`
				Containers []struct {
					Args []string `yaml:"args"`
				} `yaml:"containers"`
			} `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
	Data map[string]string `yaml:"data"`
}

type named struct {
	Name string `yaml:"name"`
}

type behaviour struct {
	ScaleUp   limits `yaml:"scaleUp"`
	ScaleDown limits `yaml:"scaleDown"`
}

type limits struct {
	Window   int `yaml:"stabilizationWindowSeconds"`
	Policies []struct {
		Value int `yaml:"value"`
	} `yaml:"policies"`
}

// kubernetes is every object of the folder by kind.
func kubernetes(t *testing.T) map[string]object {
	t.Helper()
	names, err := filepath.Glob("kubernetes/*.yaml")
	require.NoError(t, err)
	byKind := map[string]object{}
	for _, name := range names {
		if strings.HasSuffix(name, "/prewarm.yaml") {
			continue // the program's, not Kubernetes'
		}
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		d := yaml.NewDecoder(bytes.NewReader(text))
		for {
			var o object
			err := d.Decode(&o)
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, name)
			require.NotEmpty(t, o.Kind, name)
			byKind[o.Kind] = o
		}
	}
	return byKind
}

func TestAPodThatIsTakenAwayHasTimeToDrain(t *testing.T) {
	t.Parallel()
	d := kubernetes(t)["Deployment"]
	require.Nil(t, d.Spec.Replicas, "the autoscaler's")
	pod := d.Spec.Template.Spec
	require.Len(t, pod.Containers, 1)
	drain := time.Duration(0)
	for _, arg := range pod.Containers[0].Args {
		if value, ok := strings.CutPrefix(arg, "--drain="); ok {
			var err error
			drain, err = time.ParseDuration(value)
			require.NoError(t, err)
		}
	}
	require.Positive(t, drain)
	require.GreaterOrEqual(t, time.Duration(pod.Grace)*time.Second, drain+10*time.Second)
}

func TestBothAutoscalersFollowPodsWanted(t *testing.T) {
	t.Parallel()
	all := kubernetes(t)
	const metric = "prewarm_pods_wanted"
	keda, hpa := all["ScaledObject"], all["HorizontalPodAutoscaler"]
	for _, o := range []object{keda, hpa} {
		require.Equal(t, all["Deployment"].Metadata.Name, o.Spec.ScaleTargetRef.Name)
		require.Positive(t, o.Spec.MinReplicaCount+o.Spec.MinReplicas)
	}
	require.Equal(t, "AverageValue", keda.Spec.Triggers[0].MetricType)
	require.Equal(t, "max("+metric+")", keda.Spec.Triggers[0].Metadata["query"])
	require.Equal(t, "1", keda.Spec.Triggers[0].Metadata["threshold"])
	require.Equal(t, metric, hpa.Spec.Metrics[0].External.Metric.Name)
	require.Equal(t, "1", hpa.Spec.Metrics[0].External.Target.AverageValue)
	for _, b := range []behaviour{keda.Spec.Advanced.HPA.Behavior, hpa.Spec.Behavior} {
		require.Zero(t, b.ScaleUp.Window)
		require.GreaterOrEqual(t, b.ScaleDown.Window, 120, "longer than the width wavers")
		require.Equal(t, 1, b.ScaleDown.Policies[0].Value, "pods go one at a time")
	}

	var rules struct {
		Rules struct {
			External []struct {
				SeriesQuery string `yaml:"seriesQuery"`
			} `yaml:"external"`
		} `yaml:"rules"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(all["ConfigMap"].Data["values.yaml"]), &rules))
	require.Equal(t, metric, rules.Rules.External[0].SeriesQuery)
}
