package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// view is where answers are shown, and how.
type view struct {
	out   io.Writer
	table bool // or the bytes of the answer
}

// column is one column of a table: cells[0] is its heading.
type column struct {
	cells []string
	right bool // numbers line up at their last digit
}

// write prints the columns side by side.
func (v view) write(columns ...column) error {
	var b strings.Builder
	for row := range columns[0].cells {
		var line strings.Builder
		for i, c := range columns {
			if i > 0 {
				line.WriteString("  ")
			}
			pad := strings.Repeat(" ", c.width()-utf8.RuneCountInString(c.cells[row]))
			if c.right {
				line.WriteString(pad + c.cells[row])
			} else {
				line.WriteString(c.cells[row] + pad)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(v.out, b.String())
	return err
}

func (c column) width() (w int) {
	for _, cell := range c.cells {
		w = max(w, utf8.RuneCountInString(cell))
	}
	return w
}

// raw prints an answer exactly as it came.
func (v view) raw(a answer) error {
	_, err := v.out.Write(a.body)
	return err
}

func (v view) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(v.out, format, args...)
	return err
}
