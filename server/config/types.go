package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

const redacted = "[redacted]"

// Secret is a password. It prints as a fixed word whatever the verb or the
// encoder; Reveal alone gives it away.
type Secret string

// Reveal returns the secret itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return redacted }

// Format implements fmt.Formatter: without it %d would print the text.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON encoders use.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Bytes is an amount of memory in the syntax of GOMEMLIMIT: a whole number,
// then B, KiB, MiB, GiB, TiB or nothing; or "off".
type Bytes int64

// Unlimited is "off", and the value the runtime uses for it.
const Unlimited Bytes = math.MaxInt64

var errSyntax = errors.New("syntax")

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "off" {
		*b = Unlimited
		return nil
	}
	shift := 0
	for _, unit := range []struct {
		suffix string
		shift  int
	}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}} {
		if number, ok := strings.CutSuffix(s, unit.suffix); ok {
			s, shift = number, unit.shift
			break
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return errSyntax
	}
	*b = Bytes(n << shift)
	return nil
}

// Rate is so many in a time, as "1000/1m"; nothing is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) error {
	count, per, _ := strings.Cut(string(text), "/")
	n, err := strconv.ParseUint(count, 10, 31)
	if err != nil {
		return errSyntax
	}
	d, err := time.ParseDuration(per)
	if err != nil || d <= 0 { // 0/0s would be none at all
		return errSyntax
	}
	*r = Rate{int(n), d}
	return nil
}

// GCPercent is GOGC: a percentage, or GCOff.
type GCPercent int

// GCOff is "off", and the value runtime/debug.SetGCPercent uses for it.
const GCOff GCPercent = -1

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *GCPercent) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*p = GCOff
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 32)
	if err != nil || n <= 0 {
		return errSyntax
	}
	*p = GCPercent(n)
	return nil
}

// syntax says what a value of the type looks like.
func syntax(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[Bytes]():
		return "an amount of memory such as 4GiB, 512MiB or off"
	case reflect.TypeFor[Rate]():
		return "a number of requests in a time, such as 1000/1m"
	case reflect.TypeFor[GCPercent]():
		return "a percentage above 0 or off"
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 500ms or 2s"
	case reflect.TypeFor[slog.Level]():
		return "debug, info, warn or error"
	case reflect.TypeFor[bool]():
		return "true or false"
	default:
		return "a whole number"
	}
}
