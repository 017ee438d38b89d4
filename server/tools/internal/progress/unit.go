package progress

import (
	"fmt"
	"strconv"
)

// Unit is what a work is counted in: the plural of a word, or Bytes.
type Unit string

// Bytes are shown in units of 1024.
const Bytes Unit = "bytes"

func (u Unit) format(n int64) string {
	if u == Bytes {
		return u.bare(n)
	}
	return u.bare(n) + " " + string(u)
}

// bare is without the word.
func (u Unit) bare(n int64) string {
	if u != Bytes {
		return Thousands(n)
	}
	for _, scale := range []struct {
		name string
		bits int
	}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if n >= 1<<scale.bits {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(int64(1)<<scale.bits), scale.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// Size writes a number of bytes.
func Size(n int64) string { return Bytes.format(n) }

// Thousands writes a number in groups of three digits.
func Thousands(n int64) string {
	if n < 0 {
		return "-" + Thousands(-n)
	}
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
