// Command docs checks the guides, without a network: that links lead somewhere, and that files, tests and commands that pages name exist.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: docs CHECKOUT")
		os.Exit(2)
	}
	problems, pages, err := check(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
	fmt.Printf("docs: %d pages name nothing that is not there\n", pages)
}
