package main

import (
	"fmt"
	"slices"
	"strings"
)

// plot draws the rates of the operations as an SVG that can be read on light and on dark ground. Each operation has a scale of its own:
// what is compared are bars of one group.
func (r *result) plot() string {
	const (
		left, width, bar, gap, group = 190, 480, 16, 4, 34
	)
	colours := []string{api2, api7, null2, pgbench}
	var body strings.Builder
	y := 30
	for _, operation := range operations {
		var keys []key
		most := 0.0
		for _, k := range r.order {
			if k.operation == operation && slices.Contains(colours, k.subject) {
				m, _ := r.of(k)
				keys, most = append(keys, k), max(most, m.rate)
			}
		}
		if len(keys) == 0 {
			continue
		}
		slices.SortStableFunc(keys, func(a, b key) int { return a.connections - b.connections })
		fmt.Fprintf(&body, "<text class=\"head\" x=\"0\" y=\"%d\">%s, answers a second</text>\n", y, operation)
		y += 10
		for _, k := range keys {
			m, _ := r.of(k)
			length := max(1, int(m.rate/most*width))
			fmt.Fprintf(&body, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s, %d</text>", left-8, y+bar-4, k.subject, k.connections)
			fmt.Fprintf(&body, "<rect class=\"c%d\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", slices.Index(colours, k.subject), left, y, length, bar)
			fmt.Fprintf(&body, "<text x=\"%d\" y=\"%d\">%.0f</text>\n", left+length+6, y+bar-4, m.rate)
			y += bar + gap
		}
		y += group
	}
	total := left + width + 70
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img">
<title>Answers a second, by operation, server and connections</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.head { font-weight: 600 }
.c0 { fill: #0969da } .c1 { fill: #54aeff } .c2 { fill: #8c959f } .c3 { fill: #bf8700 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .c0 { fill: #2f81f7 } .c1 { fill: #79c0ff } .c2 { fill: #8b949e } .c3 { fill: #d29922 } }
</style>
%s</svg>
`, total, y, body.String())
}
