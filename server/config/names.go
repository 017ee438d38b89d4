package config

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// launcherNames are read by the scripts that start databases and programs. They
// share our files, so we must know them; the server has no use for them.
var launcherNames = []string{
	"RUNTIME", "STATE_DIR", "POSTGRES_BIN", "POSTGRES_PASSWORD", "DB_REPLICATION_PASSWORD", "START_TIMEOUT",
	"PROMETHEUS_ADDR", "GRAFANA_ADDR",
}

// telemetryNames are read by OpenTelemetry's SDK, beside those in Config.
var telemetryNames = []string{
	"OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
	"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
	"OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
	"OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT",
}

// ownPrefixes begin names that can only be meant for us, so that a misspelt one
// is an error even in the environment, which is full of other programs' names.
var ownPrefixes = []string{"SHARDING_", "SHARD_", "DB_WRITE_", "DB_READ_"}

var shardName = regexp.MustCompile(`^SHARD_(0|[1-9][0-9]?)_(WRITE|PRIMARY|REPLICA)_ADDR$`)

// Names lists every variable with a fixed name: the server's, its telemetry's,
// then the launchers'. The addresses of shard i are SHARD_<i>_WRITE_ADDR,
// SHARD_<i>_PRIMARY_ADDR and SHARD_<i>_REPLICA_ADDR besides.
func Names() []string {
	var names []string
	for field := range fields() {
		names = append(names, field)
	}
	return append(append(names, telemetryNames...), launcherNames...)
}

// fields yields the names in the tags of Config.
func fields() func(yield func(string) bool) {
	return func(yield func(string) bool) {
		t := reflect.TypeFor[Config]()
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("env")
			if name != "" && name != "-" && !yield(name) {
				return
			}
		}
	}
}

func isKnown(name string) bool {
	return slices.Contains(Names(), name) || shardName.MatchString(name)
}

// unknownNames reports the names nobody reads: all of them in the files, in
// the environment only those that look like ours.
func unknownNames(environ []string, files []file, count int) (problems Problems) {
	report := func(name, where string) {
		switch index := shardName.FindStringSubmatch(name); {
		case index != nil:
			if i, _ := strconv.Atoi(index[1]); i >= count && count > 0 {
				problems.add(name, "in %s: SHARDING_COUNT is %d, so the last shard is %d", where, count, count-1)
			}
		case !isKnown(name):
			problems.add(name, "in %s: unknown%s", where, suggestion(name, count))
		}
	}
	for name, value := range toMap(environ) {
		ours := slices.ContainsFunc(ownPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		if ours && value != "" {
			report(name, "the environment")
		}
	}
	for _, f := range files {
		for name := range f.values {
			report(name, f.path)
		}
	}
	return problems
}

// suggestion names the known variable that is closest, if one is close.
func suggestion(name string, count int) string {
	best, least := "", 1+len(name)/3
	candidates := Names()
	for i := range min(max(count, 1), maxShards) {
		candidates = append(candidates, shardVariable(i, "WRITE"), shardVariable(i, "PRIMARY"), shardVariable(i, "REPLICA"))
	}
	for _, candidate := range candidates {
		if d := distance(strings.ToUpper(name), candidate); d < least {
			best, least = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is the Levenshtein distance of a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
