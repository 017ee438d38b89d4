package main

import (
	"fmt"
	"time"
)

// target is what a figure should come to.
type target struct {
	what  string
	limit float64
	most  bool // limit is the most it may be, not the least it must
	unit  unit
	got   float64
}

type unit string

const (
	times  unit = "×"
	ms     unit = "ms"
	mib    unit = "MiB"
	number unit = ""
)

func (t target) met() bool {
	if t.most {
		return t.got <= t.limit
	}
	return t.got >= t.limit
}

func (t target) want() string {
	if t.most {
		return "≤ " + t.value(t.limit)
	}
	return "≥ " + t.value(t.limit)
}

func (t target) value(v float64) string {
	switch t.unit {
	case times:
		return fmt.Sprintf("%.2f ×", v)
	case ms:
		return fmt.Sprintf("%.1f ms", v)
	default:
		return fmt.Sprintf("%.0f %s", v, t.unit)
	}
}

// targets compares what was measured with what it should be; what was not measured is left out.
func (r *result) targets() (list []target) {
	type figure func(measurement) float64
	rate := func(m measurement) float64 { return m.rate }
	p99 := func(m measurement) float64 { return float64(m.p99) / float64(time.Millisecond) }
	cost := func(m measurement) float64 { return m.cpu.sum() }

	alone := func(what string, k key, of figure, u unit, limit float64) {
		if m, ok := r.of(k); ok {
			list = append(list, target{what: what, limit: limit, most: true, unit: u, got: of(m)})
		}
	}
	ratio := func(what string, k, base key, of figure, most bool, limit float64) {
		a, okA := r.of(k)
		b, okB := r.of(base)
		if okA && okB && of(b) > 0 {
			list = append(list, target{what: what, limit: limit, most: most, unit: times, got: of(a) / of(b)})
		}
	}
	get512, get64 := key{"get", 512, api2}, key{"get", 64, api2}
	ratio("GET by id, 512 connections, of pgbench at 450", get512, key{"get", 512, pgbench}, rate, false, 1.5)
	ratio("GET by id, 512 connections, of null", get512, key{"get", 512, null2}, rate, false, .5)
	alone("GET by id, 512 connections, p99", get512, p99, ms, 40)
	ratio("GET by id, 64 connections, of pgbench", get64, key{"get", 64, pgbench}, rate, false, .5)
	ratio("GET by id, 64 connections, of null", get64, key{"get", 64, null2}, rate, false, .25)
	alone("GET by id, 64 connections, p99", get64, p99, ms, 15)
	ratio("GET by id, 512 connections, 7 workers, of that with 2", key{"get", 512, api7}, get512, rate, false, .5)
	ratio("GET by id, 64 connections, 7 workers, of that with 2", key{"get", 64, api7}, get64, rate, false, .6)
	ratio("POST, 512 connections, of pgbench at 450", key{"post", 512, api2}, key{"post", 512, pgbench}, rate, false, 3)
	ratio("POST, 64 connections, of pgbench", key{"post", 64, api2}, key{"post", 64, pgbench}, rate, false, 1.2)
	ratio("POST, 512 connections, 7 workers, of pgbench at 450", key{"post", 512, api7}, key{"post", 512, pgbench}, rate, false, 1.5)
	ratio("POST, 64 connections, 7 workers, of pgbench", key{"post", 64, api7}, key{"post", 64, pgbench}, rate, false, .9)
	alone("GET by id at half the sustained rate, p99", key{steadyAlone, 0, api2}, p99, ms, 5)
	// Who asks for the first page at the same time shares it. Over one connection nothing is shared.
	list1, list64 := key{"list", 1, api2}, key{"list", 64, api2}
	ratio("first page, CPU of that of a GET by id, 1 connection", list1, key{"get", 1, api2}, cost, true, 5)
	ratio("first page, CPU of that of a GET by id, 64 connections", list64, get64, cost, true, 5)
	ratio("page at depth 500,000, CPU of that of the first, 1 connection", key{"deep", 1, api2}, list1, cost, true, 1.2)
	ratio("page at depth 500,000, CPU of that of the first, 64 connections", key{"deep", 64, api2}, list64, cost, true, 1.2)
	alone("stats under load, p99", key{steadyStats, 0, api2}, p99, ms, 5)
	many := key{"get", 10_000, api7}
	alone("10,000 connections, memory of all workers", many, func(m measurement) float64 { return float64(m.memory >> 20) }, mib, 1024)
	ratio("10,000 connections, of the rate at 512", many, key{"get", 512, api7}, rate, false, .7)
	alone("10,000 connections, requests that failed", many, func(m measurement) float64 { return float64(m.failed) }, number, 0)
	return list
}
