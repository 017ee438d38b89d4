package live

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// none stands for what is not known.
const none = "–"

// rate is a number per second, as exact as one reads it.
func rate(v float64) string {
	switch {
	case math.IsNaN(v):
		return none
	case v == 0:
		return "0"
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return count(v)
	}
}

// count is a whole number: 12,345.
func count(v float64) string {
	if math.IsNaN(v) {
		return none
	}
	text := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func percent(v float64) string {
	if math.IsNaN(v) {
		return none
	}
	return strconv.FormatFloat(100*v, 'f', 1, 64) + " %"
}

// seconds is a duration in the unit that fits it.
func seconds(v float64) string {
	switch {
	case math.IsNaN(v):
		return none
	case v == 0:
		return "0 s"
	case v < 0.0995:
		return strconv.FormatFloat(1000*v, 'f', 1, 64) + " ms"
	case v < 0.9995:
		return strconv.FormatFloat(1000*v, 'f', 0, 64) + " ms"
	default:
		return strconv.FormatFloat(v, 'f', 1, 64) + " s"
	}
}

// lasted is how long something takes that one waits for: 12 s, 3 min 5 s, 2 h 10 min.
func lasted(d time.Duration) string {
	switch s := int(d.Seconds()); {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	default:
		return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
	}
}

func size(v float64) string {
	if math.IsNaN(v) {
		return none
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	digits := 0
	if i > 0 && v < 10 {
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + units[i]
}

// several is a number of things: 1 fault, 2 faults.
func several(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.Itoa(n) + " " + thing + "s"
}

// sentence joins parts that are not empty.
func sentence(parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, ", ")
}
