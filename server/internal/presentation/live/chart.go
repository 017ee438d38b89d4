package live

import (
	"fmt"
	"math"
	"strings"
)

// The charts' coordinates. How large they are shown is up to the style.
const (
	chartWidth, chartHeight = 300.0, 60.0
	chartStep               = chartWidth / (points - 1)
)

// chart is a line over the last minutes.
type chart struct {
	Title, Now, Most string
	Label            string // for who does not see it
	Path             string // of SVG
	Troubled         string // where there was a fault, of SVG
}

func newChart(title string, now float64, s *series, text func(float64) string, trouble *series) chart {
	shown := s.shown()
	most := 0.0
	if now > 0 {
		most = now
	}
	for _, v := range shown {
		if !math.IsNaN(v) {
			most = max(most, v)
		}
	}
	c := chart{Title: title, Now: text(now), Most: text(most), Path: path(shown, most)}
	c.Label = fmt.Sprintf("%s over the last %s: now %s, at most %s", title, lasted(step*points), c.Now, c.Most)
	if trouble != nil {
		c.Troubled = stripes(trouble.shown())
	}
	return c
}

// path draws the values, the newest at the right; it breaks off where there is none.
func path(values []float64, most float64) string {
	var out strings.Builder
	x := chartWidth - chartStep*float64(len(values)-1)
	pen := 'M'
	for _, v := range values {
		switch {
		case math.IsNaN(v):
			pen = 'M'
		default:
			if most > 0 {
				v = min(v/most, 1)
			}
			// A point alone is seen by the line's round cap.
			fmt.Fprintf(&out, "%c%.0f %.1f", pen, x, chartHeight-1-v*(chartHeight-3))
			if pen == 'M' {
				out.WriteString("h0")
			}
			pen = 'L'
		}
		x += chartStep
	}
	return out.String()
}

// stripes draws the times of faults, from top to bottom.
func stripes(worst []float64) string {
	var out strings.Builder
	x := chartWidth - chartStep*float64(len(worst)-1)
	for i := 0; i < len(worst); i++ {
		began := i
		for i < len(worst) && severity(worst[i]) == fault {
			i++
		}
		if i > began {
			fmt.Fprintf(&out, "M%.0f 0h%.0fv%gh-%.0fz", x+chartStep*float64(began), chartStep*float64(i-began), chartHeight, chartStep*float64(i-began))
		}
	}
	return out.String()
}
