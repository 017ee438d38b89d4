// Package terminal prints tables: to people in a terminal, with colours and bars, and to programs as plain columns that stay the same.
package terminal

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Screen is where tables are printed.
type Screen struct {
	io.Writer

	person bool // reads it, not a program
	colour bool
	width  int // of the terminal; 0 where there is none
}

// On prints to f: for people where that is a terminal, in colours unless NO_COLOR (https://no-color.org) or the terminal forbids them.
func On(f *os.File) *Screen {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return To(f, false)
	}
	s := &Screen{Writer: f, person: true, colour: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", width: width}
	if s.colour {
		text.EnableColors() // what else the environment says of them is not for us
	}
	return s
}

// To prints to w, for people or for programs, without colours.
func To(w io.Writer, person bool) *Screen { return &Screen{Writer: w, person: person} }

// Person tells whether people read what is printed.
func (s *Screen) Person() bool { return s.person }

// Good is what is as it should be.
func (s *Screen) Good(words string) string { return s.paint(words, text.FgGreen) }

// Warning is what somebody should look at.
func (s *Screen) Warning(words string) string { return s.paint(words, text.FgYellow) }

// Bad is what does not work.
func (s *Screen) Bad(words string) string { return s.paint(words, text.FgRed, text.Bold) }

// Faint is what matters less than what stands beside it.
func (s *Screen) Faint(words string) string { return s.paint(words, text.Faint) }

func (s *Screen) paint(words string, colours ...text.Color) string {
	if !s.colour || words == "" {
		return words
	}
	return text.Colors(colours).Sprint(words)
}

// eighths are the parts of a character that a bar can end with.
var eighths = []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}

// Bar is as long as a share, from 0 to 1, of so many characters. Not even the smallest share is nothing.
func Bar(share float64, width int) string {
	if share <= 0 || math.IsNaN(share) {
		return ""
	}
	n := max(1, int(math.Round(min(1, share)*float64(width)*8)))
	return strings.Repeat("█", n/8) + eighths[n%8]
}

// Bytes are so many in the unit that suits them.
func Bytes(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("% .1f", decor.SizeB1024(n))
}

// Count is a number with its thousands apart.
func Count(n int64) string { return message.NewPrinter(language.English).Sprintf("%d", n) }

// Age is a duration in its two largest units.
func Age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
