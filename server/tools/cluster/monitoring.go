package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/messenger-clone/messenger-clone-api/server/config"
)

const prometheusName = "prometheus"

// prometheusAddr is where Prometheus listens. Its own default is the port of our admin.
func (c *cluster) prometheusAddr() string {
	return cmp.Or(c.env["PROMETHEUS_ADDR"], "127.0.0.1:9091")
}

// monitoringConf is what makes Prometheus one of supervisord's programs, once it was asked for.
func (c *cluster) monitoringConf() string { return c.path("conf", "monitoring", "supervisord.conf") }

// monitoring starts Prometheus beside what runs, with our rules.
func (c *cluster) monitoring(ctx context.Context) error {
	running, err := c.running(ctx)
	if err != nil {
		return err
	}
	if len(running) == 0 {
		return errors.New("nothing runs that could be watched: first run  make dev")
	}
	target, err := c.adminTarget()
	if err != nil {
		return err
	}
	if _, ours := running[prometheusName]; !ours {
		if err := checkPort(ctx, "Prometheus", c.prometheusAddr()); err != nil {
			return fmt.Errorf("%w (PROMETHEUS_ADDR=…)", err)
		}
	}
	if err := c.writeMonitoring(target); err != nil {
		return err
	}
	_, withAPI := running[apiName]
	if _, err := c.writeFiles(withAPI); err != nil {
		return err
	}
	if err := c.startSupervisor(ctx, true); err != nil {
		return err
	}
	err = c.out.step("starting", "ready", "Prometheus", func() error {
		if err := c.start(ctx, prometheusName); err != nil {
			return err
		}
		return c.await(ctx, prometheusName, c.prometheusReady)
	})
	if err != nil {
		return err
	}
	fmt.Printf("\nPrometheus   http://%s   (alerts: /alerts)\nIt watches   http://%s/metrics\nFor Grafana  %s\n", c.prometheusAddr(), target,
		filepath.Join(c.root, "monitoring", "grafana", "dashboards", "messenger.json"))
	return nil
}

// adminTarget is the admin port as a client on this machine reaches it.
func (c *cluster) adminTarget() (string, error) {
	if c.cfg.AdminAddr == config.Off {
		return "", errors.New("ADMIN_ADDR is off: there is nothing that Prometheus could ask")
	}
	host, port, err := net.SplitHostPort(c.cfg.AdminAddr)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// writeMonitoring copies the shared files, because the account that runs Prometheus
// may be unable to read the checkout.
func (c *cluster) writeMonitoring(target string) error {
	prometheus, err := program(prometheusName)
	if err != nil {
		return err
	}
	folder := filepath.Dir(c.monitoringConf())
	for _, dir := range []string{folder, filepath.Join(folder, "targets"), c.path(prometheusName)} {
		if err := c.account.folder(dir); err != nil {
			return err
		}
	}
	for _, name := range []string{"prometheus.yml", "rules.yml"} {
		text, err := os.ReadFile(filepath.Join(c.root, "monitoring", name))
		if err != nil {
			return err
		}
		if err := c.account.write(filepath.Join(folder, name), text); err != nil {
			return err
		}
	}
	if err := c.account.write(filepath.Join(folder, "targets", "native.yml"), fmt.Appendf(nil, "- targets: [%q]\n", target)); err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "[program:%s]\n", prometheusName)
	section(&b, "command", command(prometheus, "--config.file="+filepath.Join(folder, "prometheus.yml"), "--storage.tsdb.path="+c.path(prometheusName),
		"--storage.tsdb.retention.time=15d", "--storage.tsdb.retention.size=1GB", "--web.listen-address="+c.prometheusAddr()),
		"autostart", "false", "autorestart", "true", "startsecs", "1", "startretries", "1000000",
		"stdout_logfile", c.path("log", prometheusName+".log"), "redirect_stderr", "true", "stdout_logfile_maxbytes", "10MB", "stdout_logfile_backups", "1",
		"stopsignal", "TERM", "priority", "110")
	if c.account.other {
		section(&b, "user", c.account.name)
	}
	return os.WriteFile(c.monitoringConf(), b.Bytes(), 0o600)
}

func (c *cluster) prometheusReady(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.prometheusAddr()+"/-/ready", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", request.URL, response.Status)
	}
	return nil
}
