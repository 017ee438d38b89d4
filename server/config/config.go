// Package config holds the one struct of settings that every program of the
// server shares, and the only code that reads them.
package config

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Off as an address turns what would be there off.
const Off = "off"

// Config is what the environment, .env and .env.secrets say, in that order of
// precedence, over the defaults beside the fields. A variable that is set but
// empty counts as not set. A Config made by Load has passed every check.
type Config struct {
	Host string `env:"HOST" envDefault:"127.0.0.1"`
	Port int    `env:"PORT" envDefault:"8080"` // 0 asks the system for a free port

	AdminAddr string `env:"ADMIN_ADDR" envDefault:"127.0.0.1:9090"` // metrics, for those who operate the server; Off for none

	// The runtime's own variables, read here because the runtime never sees
	// what stands in .env.
	Workers     int       `env:"GOMAXPROCS" envDefault:"7"`    // prefork workers, one processor each
	GCPercent   GCPercent `env:"GOGC" envDefault:"50"`         // of every process
	MemoryLimit Bytes     `env:"GOMEMLIMIT" envDefault:"4GiB"` // of all processes together

	ShardingEnabled bool    `env:"SHARDING_ENABLED" envDefault:"true"`
	ShardingCount   int     `env:"SHARDING_COUNT" envDefault:"5"`
	Shards          []Shard `env:"-"` // from SHARD_<i>_WRITE_ADDR, _PRIMARY_ADDR, _REPLICA_ADDR

	DBName          string `env:"DB_NAME" envDefault:"messenger"`
	DBUser          string `env:"DB_USER" envDefault:"messenger_api"`
	DBPassword      Secret `env:"DB_PASSWORD"`
	DBOwner         string `env:"DB_OWNER" envDefault:"messenger_owner"`
	DBOwnerPassword Secret `env:"DB_OWNER_PASSWORD"`
	DBSSLMode       string `env:"DB_SSLMODE" envDefault:"disable"`

	// Connections per shard, all workers together; PerWorker gives one worker's part.
	DBWriteMaxOpenConns int `env:"DB_WRITE_MAX_OPEN_CONNS" envDefault:"500"`
	DBWriteMaxIdleConns int `env:"DB_WRITE_MAX_IDLE_CONNS" envDefault:"250"`
	DBReadMaxOpenConns  int `env:"DB_READ_MAX_OPEN_CONNS" envDefault:"200"`
	DBReadMaxIdleConns  int `env:"DB_READ_MAX_IDLE_CONNS" envDefault:"100"`

	DBConnectTimeout time.Duration `env:"DB_CONNECT_TIMEOUT" envDefault:"2s"` // one attempt to connect
	DBReadTimeout    time.Duration `env:"DB_READ_TIMEOUT" envDefault:"1s"`    // a replica's answer, before the primary is asked; more while it answers others
	ReplicaMaxLag    time.Duration `env:"REPLICA_MAX_LAG" envDefault:"10s"`   // of a replica that is read
	RequestTimeout   time.Duration `env:"REQUEST_TIMEOUT" envDefault:"5s"`    // a whole request
	DrainTimeout     time.Duration `env:"DRAIN_TIMEOUT" envDefault:"10s"`     // requests in flight at a stop
	ReadTimeout      time.Duration `env:"READ_TIMEOUT" envDefault:"10s"`
	WriteTimeout     time.Duration `env:"WRITE_TIMEOUT" envDefault:"10s"`
	IdleTimeout      time.Duration `env:"IDLE_TIMEOUT" envDefault:"60s"`
	BodyLimit        Bytes         `env:"BODY_LIMIT" envDefault:"64KiB"`
	CORSAllowOrigins []string      `env:"CORS_ALLOW_ORIGINS"`            // whose pages may use the API from a browser
	RateLimit        Rate          `env:"RATE_LIMIT"`                    // requests of one client, all workers together
	TrustedProxies   []string      `env:"TRUSTED_PROXIES"`               // whose X-Forwarded-For is believed
	StatsMaxAge      time.Duration `env:"STATS_MAX_AGE" envDefault:"1s"` // of counts and probes shared between requests

	IdempotencyTTL time.Duration `env:"IDEMPOTENCY_TTL" envDefault:"24h"` // how long an Idempotency-Key is remembered

	RedisAddr   string        `env:"REDIS_ADDR" envDefault:"127.0.0.1:6379"` // where make up has Redis
	RedisURL    Secret        `env:"REDIS_URL"`                              // of the cache, which is off without
	CacheMaxAge time.Duration `env:"CACHE_MAX_AGE" envDefault:"1m"`          // of a cached user
	CacheSize   Bytes         `env:"CACHE_SIZE" envDefault:"128MiB"`         // in all workers together, beside what Redis has

	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"info"`

	// OpenTelemetry's SDK reads its variables itself, in the workers, who are handed on
	// what stands in .env; these say whether it is asked to. Its others are in names.go.
	OTLPEndpoint       string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
	OTLPTracesEndpoint string `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"`
	OTLPProtocol       string `env:"OTEL_EXPORTER_OTLP_PROTOCOL" envDefault:"http/protobuf"`
	OTLPTracesProtocol string `env:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"`
	TracesExporter     string `env:"OTEL_TRACES_EXPORTER" envDefault:"otlp"`
	OTelDisabled       string `env:"OTEL_SDK_DISABLED"`

	environ func() []string // a func, because fmt would print the secrets in a map
}

// Load reads the settings of a program that cannot work without the required
// variables (by name, "DB_PASSWORD" for one). Its error lists every problem.
func Load(required ...string) (Config, error) {
	files, problems := readFiles(".", "..")
	return load(os.Environ(), files, problems, required)
}

// LoadEnv is Load without the files. A worker uses it on what its master passed
// down (see Environ), so that an edit of .env cannot make the workers of one
// server differ.
func LoadEnv(required ...string) (Config, error) {
	return load(os.Environ(), nil, nil, required)
}

func load(environ []string, files []file, problems Problems, required []string) (Config, error) {
	values := merge(environ, files)

	var cfg Config
	problems = append(problems, parse(&cfg, values)...)
	cfg.Shards = shards(values, cfg.DBName, cfg.ShardingEnabled, cfg.ShardingCount)
	problems = append(problems, unknownNames(environ, files, cfg.ShardingCount)...)
	cfg.fitIdleConns(values)
	problems = append(problems, cfg.check()...)
	for _, name := range required {
		if values[name] == "" {
			problems.add(name, "is not set; `make up` writes one to .env.secrets")
		}
	}

	cfg.environ = func() []string {
		list := make([]string, 0, len(values))
		for name, value := range values {
			list = append(list, name+"="+value)
		}
		return list
	}
	if len(problems) > 0 {
		return Config{}, problems.sorted()
	}
	return cfg, nil
}

// parse fills cfg and names the variable, not the field, in what it reports.
func parse(cfg *Config, values map[string]string) (problems Problems) {
	err := env.ParseWithOptions(cfg, env.Options{Environment: values})
	var all env.AggregateError
	if !errors.As(err, &all) {
		return nil
	}
	for _, e := range all.Errors {
		var p env.ParseError
		if !errors.As(e, &p) {
			problems.add("environment", "%v", e)
			continue
		}
		field, _ := reflect.TypeFor[Config]().FieldByName(p.Name)
		name := field.Tag.Get("env")
		problems.add(name, "%q is not %s", values[name], syntax(field.Type))
		// The default stands in, so that the other checks can still speak.
		_ = env.ParseWithOptions(cfg, env.Options{Environment: without(values, name)})
		values = without(values, name)
	}
	return problems
}

// fitIdleConns lowers the default of an idle limit to a smaller open limit;
// only an idle limit that was asked for can be too large.
func (c *Config) fitIdleConns(values map[string]string) {
	if values["DB_WRITE_MAX_IDLE_CONNS"] == "" {
		c.DBWriteMaxIdleConns = min(c.DBWriteMaxIdleConns, c.DBWriteMaxOpenConns)
	}
	if values["DB_READ_MAX_IDLE_CONNS"] == "" {
		c.DBReadMaxIdleConns = min(c.DBReadMaxIdleConns, c.DBReadMaxOpenConns)
	}
}

// Addr is where the API listens.
func (c Config) Addr() string {
	return net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
}

// Traces tells whether spans are to be sent to a collector.
func (c Config) Traces() bool {
	return (c.OTLPEndpoint != "" || c.OTLPTracesEndpoint != "") && c.TracesExporter != "none" && !strings.EqualFold(c.OTelDisabled, "true")
}

// ProxyNetworks is TrustedProxies, as networks.
func (c Config) ProxyNetworks() (list []netip.Prefix) {
	for _, text := range c.TrustedProxies {
		if network, err := parseNetwork(text); err == nil { // it is: see check
			list = append(list, network)
		}
	}
	return list
}

// PerWorker is one worker's part of a limit that counts for all of them
// together. It leaves a part for the worker more that there is while they are
// rolled, and is at least 1 unless the limit is 0.
func (c Config) PerWorker(total int) int { return max(min(total, 1), total/(c.Workers+1)) }

// CachePerProcess is one worker's part of CacheSize.
func (c Config) CachePerProcess() int64 { return int64(c.CacheSize) / int64(c.Workers+1) }

// MemoryPerProcess is one process's part of MemoryLimit. The master counts as
// one: it is small, and what it leaves is the workers' slack.
func (c Config) MemoryPerProcess() int64 {
	if c.MemoryLimit == Unlimited {
		return int64(Unlimited)
	}
	return int64(c.MemoryLimit) / int64(c.Workers+1)
}

// Environ renders the settings, secrets included, as environment variables
// from which LoadEnv makes the same Config.
func (c Config) Environ() []string { return c.environ() }
