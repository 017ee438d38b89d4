package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problems is everything that is wrong with the settings.
type Problems []Problem

// Problem is one thing that is wrong, and with which variable or file.
type Problem struct {
	Name string
	Text string
}

// Error lists the problems, one a line.
func (p Problems) Error() string {
	var b strings.Builder
	if len(p) == 1 {
		b.WriteString("1 problem in the settings:")
	} else {
		fmt.Fprintf(&b, "%d problems in the settings:", len(p))
	}
	for _, problem := range p {
		fmt.Fprintf(&b, "\n  %s: %s", problem.Name, problem.Text)
	}
	return b.String()
}

func (p *Problems) add(name, format string, args ...any) {
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	*p = append(*p, Problem{name, text})
}

func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Name, b.Name) })
	return slices.Compact(p)
}
