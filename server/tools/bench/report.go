package main

import (
	"fmt"
	"strings"
)

// markdown is the result as a page.
func (r *result) markdown(plot string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s, %s\n\n", r.date.Format("2006-01-02"), r.commit)
	fmt.Fprintf(&b, "`make bench` on %s: %s. The load comes from the same machine.\n\n", r.machine, r.conditions)
	if r.complete {
		fmt.Fprintf(&b, "![answers a second](%s)\n\n", plot)
	}
	b.WriteString("CPU is in seconds per 1,000 answers; \"load\" is what wrk or pgbench itself took. Memory is the API's, what its processes share counted once.\n\n")
	b.WriteString("| what | connections | who | answers/s | p50 | p99 | CPU API | CPU PostgreSQL | CPU PgBouncer | CPU Redis | CPU load | memory | × pgbench | × null | failed |\n")
	b.WriteString("|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, k := range r.order {
		m, _ := r.of(k)
		connections := fmt.Sprint(k.connections)
		if k.connections == 0 {
			connections = ""
		}
		memory := ""
		if m.memory > 0 {
			memory = fmt.Sprintf("%d MiB", m.memory>>20)
		}
		costs := fmt.Sprintf("%.3f | %.3f | %.3f | %.3f | %.3f", m.cpu.api, m.cpu.postgres, m.cpu.pooler, m.cpu.redis, m.cpu.load)
		if m.cpu.sum() == 0 {
			costs = " | | | | " // it is in what this ran beside
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.0f | %s | %s | %s | %s | %s | %s | %d |\n", k.operation, connections, k.subject,
			m.rate, millis(m.p50), millis(m.p99), costs, memory, r.ratio(k, pgbench), r.ratio(k, null2), m.failed)
	}
	b.WriteString(r.cacheGains())
	if list := r.targets(); len(list) > 0 {
		b.WriteString("\n| target | want | got | |\n|---|--:|--:|---|\n")
		for _, t := range list {
			verdict := "met"
			if !t.met() {
				verdict = "**missed**"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.what, t.want(), t.value(t.got), verdict)
		}
	}
	return b.String()
}

// ratio is a rate as a multiple of a ceiling's for the same.
func (r *result) ratio(k key, ceiling string) string {
	got, _ := r.of(k)
	of, ok := r.of(key{k.operation, k.connections, ceiling})
	if !ok || k.subject == pgbench || k.subject == null2 {
		return ""
	}
	return fmt.Sprintf("%.2f", got.rate/of.rate)
}
