package main

import (
	"fmt"
	"time"
)

const rowFormat = "%-28s %9s %8s %6s %6s  %10s %-16s %12s  %s\n"

func (c *chaos) head() {
	fmt.Fprintf(c.out, rowFormat, "FAULT", "REQUESTS", "REFUSED", "CUT", "HUNG", "LONGEST", "GAP", "HEALED AFTER", "PROMISE")
}

func (c *chaos) row(f fault, m figures) {
	verdict := "kept"
	if m.broken > 0 {
		verdict = fmt.Sprintf("BROKEN by %d", m.broken)
	}
	fmt.Fprintf(c.out, rowFormat, f.name, fmt.Sprint(m.requests), fmt.Sprint(m.refused), fmt.Sprint(m.cut), fmt.Sprint(m.hung),
		round(m.gap), m.gapOf, round(m.healed), verdict)
}

func round(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
