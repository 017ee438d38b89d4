package terminal

import (
	"fmt"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Column is one of a table of Ts.
type Column[T any] struct {
	Name  string         // for programs, and for people where there is no Head; without a name it is for people only
	Value func(T) string // for programs: a word or a bare number
	Head  string
	Show  func(T) string // for people, where that is not the value
	Right bool           // numbers line up at their last digit
	Spare int            // left out where the terminal is too narrow; 1 is the first to go
}

// nothing stands for an empty field, so that programs find the next one in its place.
const nothing = "-"

// Table prints a line for each of the rows.
func Table[T any](s *Screen, rows []T, columns []Column[T]) error {
	if !s.person {
		columns = slices.DeleteFunc(slices.Clone(columns), func(c Column[T]) bool { return c.Name == "" })
	}
	cells := make([][]string, 0, len(rows)+1)
	cells = append(cells, heads(s, columns))
	for _, row := range rows {
		cells = append(cells, fields(s, row, columns))
	}
	for spare := 1; s.width > 0 && width(cells) > s.width; spare++ {
		left := slices.IndexFunc(columns, func(c Column[T]) bool { return c.Spare == spare })
		if left < 0 {
			break
		}
		columns = slices.Delete(slices.Clone(columns), left, left+1)
		for i := range cells {
			cells[i] = slices.Delete(cells[i], left, left+1)
		}
	}

	t := table.NewWriter()
	var configs []table.ColumnConfig
	for i, c := range columns {
		if c.Right {
			configs = append(configs, table.ColumnConfig{Number: i + 1, Align: text.AlignRight})
		}
	}
	t.SetColumnConfigs(configs)
	for _, line := range cells {
		row := make(table.Row, len(line))
		for i, cell := range line {
			row[i] = cell
		}
		t.AppendRow(row)
	}
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", gap
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	_, err := fmt.Fprintln(s, t.Render())
	return err
}

// gap is between columns.
const gap = "  "

func heads[T any](s *Screen, columns []Column[T]) (line []string) {
	for _, c := range columns {
		head := c.Name
		if s.person && c.Show != nil {
			head = c.Head
		}
		line = append(line, s.Faint(head))
	}
	return line
}

func fields[T any](s *Screen, row T, columns []Column[T]) (line []string) {
	for _, c := range columns {
		switch {
		case s.person && c.Show != nil:
			line = append(line, c.Show(row))
		default:
			value := c.Value(row)
			if value == "" && !s.person {
				value = nothing
			}
			line = append(line, value)
		}
	}
	return line
}

// width is what the widest line takes.
func width(cells [][]string) (sum int) {
	for i := range cells[0] {
		widest := 0
		for _, line := range cells {
			widest = max(widest, text.StringWidth(line[i]))
		}
		if widest > 0 {
			sum += widest + len(gap)
		}
	}
	return sum - len(gap)
}
