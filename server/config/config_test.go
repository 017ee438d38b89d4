package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func mustLoad(t *testing.T, environ ...string) Config {
	t.Helper()
	cfg, err := load(environ, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t)
	if got, want := cfg.Addr(), "127.0.0.1:8080"; got != want {
		t.Errorf("Addr() = %s, want %s", got, want)
	}
	if cfg.Workers != 7 || cfg.GCPercent != 50 || cfg.MemoryLimit != 4<<30 {
		t.Errorf("got %d workers, GOGC %d, GOMEMLIMIT %d; want 7, 50, %d", cfg.Workers, cfg.GCPercent, cfg.MemoryLimit, 4<<30)
	}
	if got, want := cfg.MemoryPerProcess(), int64(512<<20); got != want {
		t.Errorf("MemoryPerProcess() = %d, want %d", got, want)
	}
	if got, want := cfg.PerWorker(cfg.DBWriteMaxOpenConns), 62; got != want {
		t.Errorf("a worker's write connections = %d, want %d", got, want)
	}
	if len(cfg.Shards) != 5 {
		t.Fatalf("got %d shards, want 5", len(cfg.Shards))
	}
	want := Shard{"shard-4", "messenger_4", "127.0.0.1:6434", "127.0.0.1:5444", "127.0.0.1:5454"}
	if cfg.Shards[4] != want {
		t.Errorf("shard 4 = %+v, want %+v", cfg.Shards[4], want)
	}
	if cfg.RequestTimeout != 5*time.Second || cfg.BodyLimit != 64<<10 || cfg.LogLevel != slog.LevelInfo {
		t.Errorf("got %v, %d, %v; want 5s, 65536, INFO", cfg.RequestTimeout, cfg.BodyLimit, cfg.LogLevel)
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	files := []file{
		{".env", map[string]string{"PORT": "2", "HOST": "b", "DB_NAME": ""}},
		{".env.secrets", map[string]string{"PORT": "3", "HOST": "c", "DB_NAME": "c", "DB_PASSWORD": "c"}},
	}
	cfg, err := load([]string{"PORT=1", "HOST="}, files, nil, []string{"DB_PASSWORD"})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Port != 1 || cfg.Host != "b" || cfg.DBName != "c" || cfg.DBPassword != "c" {
		t.Errorf("got %d, %s, %s, %s; want 1 (environment), b (.env), c and c (.env.secrets)",
			cfg.Port, cfg.Host, cfg.DBName, cfg.DBPassword.Reveal())
	}
}

// TestTraces are off unless a collector is named, whatever else is set for other programs.
func TestTraces(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]bool{
		"": false, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_SERVICE_NAME=x OTEL_UNHEARD_OF=y": false,
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318": true, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://a/v1/traces": true,
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318 OTEL_SDK_DISABLED=TRUE":    false,
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4318 OTEL_TRACES_EXPORTER=none": false,
	} {
		if got := mustLoad(t, strings.Fields(environ)...).Traces(); got != want {
			t.Errorf("%q: traces are %t, want %t", environ, got, want)
		}
	}
}

func TestWithoutSharding(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, "SHARDING_ENABLED=false", "SHARD_0_REPLICA_ADDR=none", "SHARD_3_WRITE_ADDR=elsewhere:1")
	want := Shard{"shard-0", "messenger_0", "127.0.0.1:6430", "127.0.0.1:5440", ""}
	if len(cfg.Shards) != 1 || cfg.Shards[0] != want {
		t.Errorf("got %+v, want only %+v", cfg.Shards, want)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		environ []string
		want    []string // "variable: part of the text", all of them
	}{
		{"number", []string{"PORT=http"}, []string{`PORT: "http" is not a whole number`}},
		{"range", []string{"PORT=70000", "SHARDING_COUNT=0"}, []string{"PORT: 70000 is not", "SHARDING_COUNT: 0 is not"}},
		{"several that do not parse", []string{"PORT=x", "GOGC=0", "GOMEMLIMIT=4GB", "LOG_LEVEL=loud", "REQUEST_TIMEOUT=5"}, []string{
			`GOGC: "0" is not a percentage`, `GOMEMLIMIT: "4GB" is not an amount of memory`, `LOG_LEVEL: "loud" is not debug`,
			`PORT: "x" is not`, `REQUEST_TIMEOUT: "5" is not a duration`,
		}},
		{"boolean", []string{"SHARDING_ENABLED=ja"}, []string{`SHARDING_ENABLED: "ja" is not true or false`}},
		{"misspelt", []string{"SHARDING_COUNTS=5"}, []string{"SHARDING_COUNTS: in the environment: unknown; did you mean SHARDING_COUNT?"}},
		{"misspelt shard", []string{"SHARD_0_WRITE_ADRR=a:1"}, []string{"did you mean SHARD_0_WRITE_ADDR?"}},
		{"leading zero", []string{"SHARD_00_WRITE_ADDR=a:1"}, []string{"SHARD_00_WRITE_ADDR: in the environment: unknown"}},
		{"shard too far", []string{"SHARD_5_WRITE_ADDR=a:1"}, []string{"SHARD_5_WRITE_ADDR: in the environment: SHARDING_COUNT is 5, so the last shard is 4"}},
		{"not an address", []string{"SHARD_1_REPLICA_ADDR=localhost"}, []string{`SHARD_1_REPLICA_ADDR: "localhost" is not host:port`}},
		{"shared address", []string{"SHARD_1_WRITE_ADDR=127.0.0.1:6430"}, []string{"SHARD_1_WRITE_ADDR: 127.0.0.1:6430 is also SHARD_0_WRITE_ADDR"}},
		{"default ports collide", []string{"SHARDING_COUNT=11"}, []string{
			"SHARD_10_PRIMARY_ADDR: 127.0.0.1:5450 is also SHARD_0_REPLICA_ADDR (the default ports hold for 10 shards",
		}},
		{"too few connections", []string{"DB_WRITE_MAX_OPEN_CONNS=6"}, []string{"DB_WRITE_MAX_OPEN_CONNS: 6 connections for 7 workers"}},
		{"more idle than open", []string{"DB_READ_MAX_IDLE_CONNS=201"}, []string{"DB_READ_MAX_IDLE_CONNS: 201 is more than DB_READ_MAX_OPEN_CONNS, which is 200"}},
		{"too few idle", []string{"DB_READ_MAX_IDLE_CONNS=3"}, []string{"DB_READ_MAX_IDLE_CONNS: 3 idle connections for 7 workers"}},
		{"no time for the primary", []string{"REQUEST_TIMEOUT=1s"}, []string{"DB_READ_TIMEOUT: 1s leaves nothing"}},
		{"no collector", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4318"}, []string{`OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318" is not a URL such as http`}},
		{"another protocol", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://a:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_TRACES_EXPORTER=zipkin"}, []string{
			`OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not http/protobuf`, `OTEL_TRACES_EXPORTER: "zipkin" is not otlp`,
		}},
		{"ssl mode", []string{"DB_SSLMODE=on"}, []string{`DB_SSLMODE: "on" is not one of disable`}},
		{"no origins", []string{"CORS_ALLOW_ORIGINS=https://a.example, app.example.com,https://a.example/path,https://*,null,HTTPS://a.example,https://a b,ftp://a.example"}, []string{
			`CORS_ALLOW_ORIGINS: " app.example.com" is not an origin such as https://app.example.com`, `"https://a.example/path" is`,
			`"https://*" is`, `"null" is`, `"HTTPS://a.example" is`, `"https://a b" is`, `"ftp://a.example" is`,
		}},
		{"no Redis", []string{"REDIS_URL=localhost:6379"}, []string{"REDIS_URL: is not redis://host:port"}},
		{"a secret in a wrong URL", []string{"REDIS_URL=redis://:hunter2@host:6379/first"}, []string{"REDIS_URL: is not redis://host:port"}},
		{"cache of all memory", []string{"REDIS_URL=redis://localhost", "GOMEMLIMIT=256MiB"}, []string{"CACHE_SIZE: must be between 8MiB, 1MiB for each worker and one more, and 64MiB"}},
		{"rates", []string{"RATE_LIMIT=often"}, []string{`RATE_LIMIT: "often" is not a number of requests in a time, such as 1000/1m`}},
		{"rate of no time", []string{"RATE_LIMIT=0/0s"}, []string{`RATE_LIMIT: "0/0s" is not a number`}},
		{"rate of nothing", []string{"RATE_LIMIT=0/1m"}, []string{"RATE_LIMIT: must be 1 request or more"}},
		{"rate of a moment", []string{"RATE_LIMIT=5/1500ms"}, []string{"RATE_LIMIT: must be"}},
		{"proxies", []string{"TRUSTED_PROXIES=10.0.0.0/8, proxy.example.com,1.2.3.4"}, []string{`TRUSTED_PROXIES: " proxy.example.com" is not an address`}},
		{"zero times", []string{"DRAIN_TIMEOUT=0s", "STATS_MAX_AGE=-1s"}, []string{"DRAIN_TIMEOUT: must be", "STATS_MAX_AGE: must be"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(test.environ, nil, nil, nil)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got error %v, want Problems", err)
			}
			if len(problems) != len(test.want) {
				t.Errorf("got %d problems, want %d:\n%v", len(problems), len(test.want), err)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a password is shown: %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v\nwant %q in it", err, want)
				}
			}
		})
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	want := []string{"https://app.example.com", "http://localhost:3000", "https://*.example.org", "http://[::1]:80", "*"}
	cfg := mustLoad(t, "CORS_ALLOW_ORIGINS="+strings.Join(want, " , "))
	if !slices.Equal(cfg.CORSAllowOrigins, want) {
		t.Errorf("got %q, want %q", cfg.CORSAllowOrigins, want)
	}
	if off := mustLoad(t, "CORS_ALLOW_ORIGINS=").CORSAllowOrigins; len(off) > 0 {
		t.Errorf("got %q, want none", off)
	}
}

func TestRedisURLs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"redis://127.0.0.1:6379", "redis://localhost", "rediss://user:p%40ss@cache.example.com:6380/2", "redis://[::1]:6379/0", "redis://:word@redis"} {
		if got := mustLoad(t, "REDIS_URL="+url).RedisURL.Reveal(); got != url {
			t.Errorf("got %q, want %q", got, url)
		}
	}
	if cfg := mustLoad(t, "CACHE_SIZE=80MiB"); cfg.CachePerProcess() != 10<<20 {
		t.Errorf("one of 7 workers keeps %d bytes, want 10 MiB: one more may be rolled", cfg.CachePerProcess())
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	if got, want := mustLoad(t, "RATE_LIMIT=1000/1m").RateLimit, (Rate{1000, time.Minute}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := mustLoad(t).RateLimit; got != (Rate{}) {
		t.Errorf("got %+v, want no limit", got)
	}
	cfg := mustLoad(t, "TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.7,2001:db8::/32,::1,::ffff:172.16.0.0/108")
	if got, want := fmt.Sprint(cfg.ProxyNetworks()), "[10.0.0.0/8 192.0.2.7/32 2001:db8::/32 ::1/128 172.16.0.0/12]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRequired(t *testing.T) {
	t.Parallel()
	_, err := load(nil, nil, nil, []string{"DB_PASSWORD"})
	if err == nil || !strings.Contains(err.Error(), "DB_PASSWORD: is not set") {
		t.Errorf("got %v, want DB_PASSWORD named as not set", err)
	}
}

func TestIdleDefaultFollowsOpen(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, "DB_WRITE_MAX_OPEN_CONNS=100", "DB_READ_MAX_OPEN_CONNS=7")
	if cfg.DBWriteMaxIdleConns != 100 || cfg.DBReadMaxIdleConns != 7 {
		t.Errorf("got %d and %d idle, want 100 and 7", cfg.DBWriteMaxIdleConns, cfg.DBReadMaxIdleConns)
	}
}

func TestUnknownNameInFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "GOMAXPROC=3\nCOMPLETELY_ELSE=1\nRUNTIME=native\nSHARD_1_REPLICA_ADDR=none\n"
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	files, problems := readFiles(filepath.Join(dir, "missing"), dir)
	_, err := load([]string{"COMPLETELY_ELSE=fine here"}, files, problems, nil)
	path := filepath.Join(dir, ".env")
	want := "2 problems in the settings:\n" +
		"  COMPLETELY_ELSE: in " + path + ": unknown\n" +
		"  GOMAXPROC: in " + path + ": unknown; did you mean GOMAXPROCS?"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestMalformedFileIsNotQuoted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env.secrets"), []byte("DB_PASSWORD hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, problems := readFiles(dir)
	if len(problems) != 1 || strings.Contains(problems.Error(), "hunter2") {
		t.Errorf("got %v, want one problem that does not quote the file", problems)
	}
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, "DB_PASSWORD=hunter2", "DB_OWNER_PASSWORD=hunter2")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "cfg", cfg, "password", cfg.DBPassword)
	encoded, _ := json.Marshal(struct{ Password Secret }{cfg.DBPassword})
	printed := []string{log.String(), string(encoded), fmt.Sprint(cfg), fmt.Sprint(&cfg)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed = append(printed, fmt.Sprintf(verb, cfg), fmt.Sprintf(verb, cfg.DBPassword))
	}
	for _, text := range printed {
		for _, secret := range []string{"hunter2", "68756e74657232"} {
			if strings.Contains(text, secret) {
				t.Errorf("the password shows in %s", text)
			}
		}
	}
	if got := cfg.DBPassword.Reveal(); got != "hunter2" {
		t.Errorf("Reveal() = %q, want hunter2", got)
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Bytes{
		"0": 0, "17": 17, "17B": 17, "64KiB": 64 << 10, "1MiB": 1 << 20, "4GiB": 4 << 30, "2TiB": 2 << 40, "off": Unlimited,
	} {
		var got Bytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1.5GiB", "4GB", "4 GiB", "GiB", "9223372036854775808", "8388608TiB", "Off"} {
		var got Bytes
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q = %d, want an error", text, got)
		}
	}
	cfg := mustLoad(t, "GOMEMLIMIT=off", "GOGC=off")
	if cfg.MemoryPerProcess() != math.MaxInt64 || cfg.GCPercent != GCOff {
		t.Errorf("off gave %d and %d", cfg.MemoryPerProcess(), cfg.GCPercent)
	}
}

// TestEnviron proves that a worker ends up with its master's settings.
func TestEnviron(t *testing.T) {
	t.Parallel()
	master, err := load([]string{"PORT=1", "DB_PASSWORD=secret"},
		[]file{{".env", map[string]string{"GOGC": "off", "SHARD_3_WRITE_ADDR": "elsewhere:1"}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	worker := mustLoad(t, master.Environ()...)
	got, want := fmt.Sprintf("%+v", worker.Shards), fmt.Sprintf("%+v", master.Shards)
	if got != want || worker.Port != 1 || worker.GCPercent != GCOff || worker.DBPassword != "secret" {
		t.Errorf("the worker has %+v, want %+v", worker, master)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	names := Names()
	for _, want := range []string{"HOST", "GOMAXPROCS", "DB_PASSWORD", "POSTGRES_PASSWORD"} {
		if !slices.Contains(names, want) {
			t.Errorf("Names() lacks %s", want)
		}
	}
	if slices.Contains(names, "-") || slices.Contains(names, "") {
		t.Errorf("Names() = %v has a name that is none", names)
	}
}

func TestDatabaseURL(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, "DB_PASSWORD=p@ss/word")
	u := cfg.DatabaseURL(cfg.Shards[2].Primary, cfg.DBUser, cfg.DBPassword)
	if got, want := u.String(), "postgres://messenger_api:p%40ss%2Fword@127.0.0.1:5442/messenger_2?sslmode=disable"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A replica is looked for at both addresses, and nothing that takes writes is taken for one.
func TestReplicaURL(t *testing.T) {
	t.Parallel()
	cfg, err := load([]string{"DB_PASSWORD=a b"}, nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgconn.ParseConfig(cfg.ReplicaURL(cfg.Shards[2], cfg.DBUser, cfg.DBPassword).String())
	if err != nil {
		t.Fatal(err)
	}
	if conn.Database != "messenger_2" || conn.Password != "a b" || conn.ValidateConnect == nil || len(conn.Fallbacks) != 1 ||
		conn.Port != 5452 || conn.Fallbacks[0].Port != 5442 || conn.Fallbacks[0].Host != "127.0.0.1" {
		t.Errorf("got %+v", conn)
	}
}
