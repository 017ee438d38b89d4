package main

import (
	"bytes"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/messenger-clone/messenger-clone-api/server/config"
	"github.com/messenger-clone/messenger-clone-api/server/tools/internal/terminal"
)

var update = flag.Bool("update", false, "write the golden tables anew")

// serve is an API that always gives one answer.
func serve(t *testing.T, status int, body []byte) client {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/health" && r.URL.Path != "/api/v1/shards/stats" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write(body)
	}))
	t.Cleanup(api.Close)
	return client{base: api.URL, timeout: 5 * time.Second}
}

// Each answer is shown as the table beside it, and without a terminal exactly as it came.
func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		file   string
		status int
		want   string // of the error
	}{
		{"health_ok.json", http.StatusOK, ""},
		{"health_degraded.json", http.StatusOK, ""},
		{"health_unavailable.json", http.StatusServiceUnavailable, "no shard serves: start the databases with `make dev`"},
		{"shards_users.json", http.StatusOK, ""},
		{"shards_empty.json", http.StatusOK, ""},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			body, err := os.ReadFile(filepath.Join("testdata", tt.file))
			require.NoError(t, err)
			c := serve(t, tt.status, body)
			show := health
			if strings.HasPrefix(tt.file, "shards") {
				show = shards
			}
			check := func(err error) {
				t.Helper()
				if tt.want == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, tt.want)
				}
			}

			var piped, table bytes.Buffer
			check(show(t.Context(), c, terminal.To(&piped, false)))
			require.Equal(t, string(body), piped.String())
			check(show(t.Context(), c, terminal.To(&table, true)))

			golden := filepath.Join("testdata", strings.TrimSuffix(tt.file, "json")+"txt")
			if *update {
				require.NoError(t, os.WriteFile(golden, table.Bytes(), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), table.String())
		})
	}
}

func TestWhatIsNotAnAnswer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"Problem", 503, `{"type":"/problems/shard-unavailable","title":"Shard unavailable","status":503,"detail":"shard-3 does not answer"}`, "answered 503: shard-3 does not answer"},
		{"ProblemWithoutDetail", 500, `{"title":"Internal Server Error"}`, "answered 500: Internal Server Error"},
		{"AnotherServer", 200, "<html>", "is not this API"},
		{"AnotherServersJSON", 200, `{"hello":"world"}`, "is not this API"},
		{"AnotherServersError", 404, `{"error":"no"}`, "is not this API"},
		{"Endless", 200, `"` + strings.Repeat("x", maxAnswer) + `"`, "is not this API"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, tt.status, []byte(tt.body))
			var out bytes.Buffer
			require.ErrorContains(t, shards(t.Context(), c, terminal.To(&out, false)), tt.want)
			require.ErrorContains(t, health(t.Context(), c, terminal.To(&out, false)), tt.want)
			require.Empty(t, out.String())
		})
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	silent := client{base: "http://" + l.Addr().String(), timeout: 50 * time.Millisecond}
	require.ErrorContains(t, health(t.Context(), silent, terminal.To(io.Discard, false)), "did not answer within 50ms: see `make logs`")
	require.NoError(t, l.Close())
	nobody := client{base: silent.base, timeout: 5 * time.Second}
	require.ErrorContains(t, health(t.Context(), nobody, terminal.To(io.Discard, false)), "no API listens at "+nobody.base+": start it with `make dev`")
}

func TestClientFindsTheAPI(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"127.0.0.1": "http://127.0.0.1:8080",
		"0.0.0.0":   "http://127.0.0.1:8080",
		"::":        "http://[::1]:8080",
		"api.local": "http://api.local:8080",
	} {
		require.Equal(t, want, newClient(config.Config{Host: host, Port: 8080}).base)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	nobody := terminal.To(io.Discard, false)
	for args, want := range map[string]string{
		"":              "which command?",
		"helth":         `unknown command "helth"`,
		"shards -quiet": "not defined: -quiet",
		"shards all":    "shards takes nothing but its options",
	} {
		var misused usageError
		err := run(t.Context(), strings.Fields(args), nobody)
		require.ErrorAs(t, err, &misused, "%q", args)
		require.ErrorContains(t, err, want)
	}
	require.ErrorIs(t, run(t.Context(), []string{"help"}, nobody), flag.ErrHelp)
	require.ErrorIs(t, run(t.Context(), []string{"health", "-h"}, nobody), flag.ErrHelp)
}

// The whole command, with the settings of the environment.
func TestRun(t *testing.T) {
	body, err := os.ReadFile(filepath.Join("testdata", "health_unavailable.json"))
	require.NoError(t, err)
	c := serve(t, http.StatusServiceUnavailable, body)
	host, port, err := net.SplitHostPort(strings.TrimPrefix(c.base, "http://"))
	require.NoError(t, err)
	t.Setenv("HOST", host)
	t.Setenv("PORT", port)

	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), []string{"health"}, terminal.To(&out, false)), "no shard serves")
	require.Equal(t, string(body), out.String())
	out.Reset()
	require.ErrorIs(t, run(t.Context(), []string{"health", "-quiet"}, terminal.To(&out, true)), errQuiet)
	require.Empty(t, out.String())
}
