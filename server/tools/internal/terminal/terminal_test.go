package terminal

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
)

type fruit struct {
	name, state string
	weight      string
}

var fruits = []fruit{{"apple", "good", "1200"}, {"lemon", "bad", ""}}

func columns(s *Screen) []Column[fruit] {
	return []Column[fruit]{
		{Name: "FRUIT", Value: func(f fruit) string { return f.name }},
		{Name: "GRAMS", Value: func(f fruit) string { return f.weight }, Head: "WEIGHT", Show: func(f fruit) string { return "about " + f.weight }, Right: true, Spare: 1},
		{Show: func(fruit) string { return Bar(.5, 8) }},
		{Name: "STATE", Value: func(f fruit) string { return f.state }, Head: "STATE", Show: func(f fruit) string { return s.Good("● " + f.state) }},
	}
}

// Programs find a word in each column of each line, and none that is for people.
func TestPlain(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := To(&out, false)
	require.NoError(t, Table(s, fruits, columns(s)))
	require.Equal(t, "FRUIT  GRAMS  STATE\napple   1200  good\nlemon      -  bad\n", out.String())
}

// What people see is as wide as their terminal, and has colours unless they want none.
func TestTerminal(t *testing.T) {
	for _, test := range []struct {
		name, noColour, term string
		width                uint16
		want                 string
	}{
		{
			"Colours", "", "xterm", 80,
			"\x1b[2mFRUIT\x1b[0m      \x1b[2mWEIGHT\x1b[0m        \x1b[2mSTATE\x1b[0m\napple  about 1200  ████  \x1b[32m● good\x1b[0m\nlemon      about   ████  \x1b[32m● bad\x1b[0m\n",
		},
		{"None", "1", "xterm", 80, "FRUIT      WEIGHT        STATE\napple  about 1200  ████  ● good\nlemon      about   ████  ● bad\n"},
		{"Dumb", "", "dumb", 80, "FRUIT      WEIGHT        STATE\napple  about 1200  ████  ● good\nlemon      about   ████  ● bad\n"},
		{"JustWideEnough", "1", "xterm", 31, "FRUIT      WEIGHT        STATE\napple  about 1200  ████  ● good\nlemon      about   ████  ● bad\n"},
		{"Narrow", "1", "xterm", 30, "FRUIT        STATE\napple  ████  ● good\nlemon  ████  ● bad\n"},
		{"TooNarrow", "1", "xterm", 5, "FRUIT        STATE\napple  ████  ● good\nlemon  ████  ● bad\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", test.noColour)
			t.Setenv("TERM", test.term)
			require.Equal(t, test.want, seen(t, test.width, func(f *os.File) error {
				s := On(f)
				require.True(t, s.Person())
				return Table(s, fruits, columns(s))
			}))
		})
	}
}

// seen is what a terminal of a width is sent.
func seen(t *testing.T, width uint16, show func(*os.File) error) string {
	t.Helper()
	reader, terminal, err := pty.Open()
	require.NoError(t, err)
	defer reader.Close()
	require.NoError(t, pty.Setsize(terminal, &pty.Winsize{Rows: 24, Cols: width}))
	sent := make(chan string)
	go func() {
		text, _ := io.ReadAll(reader) // it ends with an error when nobody has the terminal open any more
		sent <- string(text)
	}()
	require.NoError(t, show(terminal))
	require.NoError(t, terminal.Close())
	return strings.ReplaceAll(<-sent, "\r\n", "\n")
}

// A file is no terminal.
func TestFile(t *testing.T) {
	t.Parallel()
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer f.Close()
	require.False(t, On(f).Person())
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for share, want := range map[float64]string{-1: "", 0: "", 1e-9: "▏", .25: "█", .28: "█▏", .5: "██", .97: "███▉", 1: "████", 7: "████"} {
		require.Equal(t, want, Bar(share, 4), "%f", share)
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 45 << 20: "45.0 MiB", 3 << 30: "3.0 GiB"} {
		require.Equal(t, want, Bytes(n))
	}
	for d, want := range map[time.Duration]string{0: "0s", 59900 * time.Millisecond: "59s", 61 * time.Second: "1m01s", 3*time.Hour + 9*time.Minute: "3h09m", 49 * time.Hour: "2d01h"} {
		require.Equal(t, want, Age(d))
	}
	require.Equal(t, "1,234,567", Count(1234567))
}
