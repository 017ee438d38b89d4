package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
)

const monitoringFolder = "../../../monitoring/"

// needPrometheus finds one of Prometheus' programs.
func needPrometheus(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(name + " is missing: CI must not pass over it")
		}
		t.Skip("needs " + name + ": `make monitoring` installs it")
	}
	return path
}

// TestAlerts has Prometheus' own tool play what rules_test.yml says of each alert.
func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool := needPrometheus(t, "promtool")
	for _, args := range [][]string{
		{"check", "config", monitoringFolder + "prometheus.yml"},
		{"test", "rules", monitoringFolder + "rules_test.yml"},
	} {
		if said, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, said)
		}
	}
}

// testMonitoring starts Prometheus beside a cluster, and something at its admin port.
func testMonitoring(t *testing.T, c *cluster) {
	t.Helper()
	needPrometheus(t, prometheusName)
	ln, err := net.Listen("tcp4", c.cfg.AdminAddr)
	if err != nil {
		t.Fatal(err)
	}
	admin := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "messenger_replica_lag_seconds{shard=\"shard-0\"} 7")
	})}
	go func() { _ = admin.Serve(ln) }()
	defer admin.Close()
	if err := c.locked(t.Context(), c.monitoring); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Prometheus watches, by our rules", func() error {
		var found struct {
			Data struct {
				ActiveTargets []struct{ Health, LastError string }
				Groups        []struct {
					Rules []struct{ Name, State string }
				}
			}
		}
		for _, path := range []string{"targets", "rules"} {
			res, err := http.Get("http://" + c.prometheusAddr() + "/api/v1/" + path)
			if err != nil {
				return err
			}
			err = json.NewDecoder(res.Body).Decode(&found)
			_ = res.Body.Close()
			if err != nil {
				return err
			}
		}
		if targets := found.Data.ActiveTargets; len(targets) != 1 || targets[0].Health != "up" {
			return fmt.Errorf("targets: %+v", targets)
		}
		for _, group := range found.Data.Groups {
			for _, rule := range group.Rules {
				if rule.Name == "ReplicaLags" && rule.State == "pending" {
					return nil
				}
			}
		}
		return fmt.Errorf("rules: %+v", found.Data.Groups)
	})
}
