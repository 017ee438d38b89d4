package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// finding is a kind of thing that is not as it should be.
type finding int

const (
	misplaced  finding = iota // on a shard that does not own it
	duplicated                // on two shards, or one address carried by two users
	orphaned                  // a user whose address is not claimed, a claim whose user does not carry it
	changing                  // what a change between two shards leaves for a moment: not an error
	findings
)

// shown is how many findings of a shard are listed one by one.
const shown = 20

// counts are one shard's.
type counts struct {
	users, claims int
	found         [findings]int
	details       []string
}

// report is what a verification found.
type report struct {
	names  []string
	shards []counts
}

func newReport(names []string) *report {
	return &report{names: names, shards: make([]counts, len(names))}
}

func (r *report) add(i int, kind finding, detail string) {
	c := &r.shards[i]
	c.found[kind]++
	if detail != "" {
		c.details = append(c.details, detail)
	}
}

// wrong counts what is not as it should be.
func (r *report) wrong() (n int) {
	for _, c := range r.shards {
		n += c.found[misplaced] + c.found[duplicated] + c.found[orphaned]
	}
	return n
}

func (r *report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "SHARD\tUSERS\tCLAIMS\tMISPLACED\tDUPLICATED\tORPHANED\tCHANGING\t")
	row := func(name string, c counts) {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", name, c.users, c.claims, c.found[misplaced], c.found[duplicated], c.found[orphaned], c.found[changing])
	}
	var total counts
	for i, c := range r.shards {
		row(r.names[i], c)
		total.users += c.users
		total.claims += c.claims
		for kind, n := range c.found {
			total.found[kind] += n
		}
	}
	row("total", total)
	_ = w.Flush() // as with every print to a terminal

	for i, c := range r.shards {
		for k, detail := range c.details {
			if k == shown {
				fmt.Fprintf(out, "%s: … and %d more\n", r.names[i], len(c.details)-shown)
				break
			}
			fmt.Fprintf(out, "%s: %s\n", r.names[i], detail)
		}
	}
	if r.wrong() == 0 {
		fmt.Fprintln(out, "Everything is where it belongs.")
	}
}
