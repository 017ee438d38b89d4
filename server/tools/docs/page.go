package main

import (
	"bytes"
	"strconv"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// page is what a Markdown file says, as code hosts read it.
type page struct {
	anchors map[string]bool
	links   []named // where links and images lead
	spans   []named // code within lines
	fences  []fence
}

// named is something that a page names, and the line where it does.
type named struct {
	text string
	line int
}

// fence is a block of code, with what stands behind the three backticks.
type fence struct {
	info, text string
	line       int // of its first line
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser()

func parse(source []byte) (page, error) {
	p := page{anchors: make(map[string]bool)}
	line := func(at int) int { return 1 + bytes.Count(source[:at], []byte("\n")) }
	last := 0 // where the text before a node begins
	err := ast.Walk(markdown.Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		if n.Type() == ast.TypeBlock && n.Lines().Len() > 0 {
			last = n.Lines().At(0).Start
		}
		switch n := n.(type) {
		case *ast.Text:
			last = n.Segment.Start
		case *ast.Heading:
			p.anchors[p.anchor(plain(n, source))] = true
		case *ast.Link:
			p.links = append(p.links, named{string(n.Destination), line(start(n, last))})
		case *ast.Image:
			p.links = append(p.links, named{string(n.Destination), line(start(n, last))})
		case *ast.CodeSpan:
			p.spans = append(p.spans, named{plain(n, source), line(start(n, last))})
		case *ast.FencedCodeBlock:
			f := fence{line: line(last)}
			if n.Info != nil {
				f.info = string(n.Info.Segment.Value(source))
			}
			f.text = string(n.Lines().Value(source))
			p.fences = append(p.fences, f)
		}
		return ast.WalkContinue, nil
	})
	return p, err
}

// anchor is the name that code hosts give a heading: in lower case, without
// punctuation, with hyphens for spaces, and numbered where the page has it already.
func (p page) anchor(heading string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
	unique := name
	for i := 1; p.anchors[unique]; i++ {
		unique = name + "-" + strconv.Itoa(i)
	}
	return unique
}

// start is where the first text in a node begins, or the place given where it has none.
func start(n ast.Node, otherwise int) int {
	for c := n.FirstChild(); c != nil; c = c.FirstChild() {
		if t, ok := c.(*ast.Text); ok {
			return t.Segment.Start
		}
	}
	return otherwise
}

// plain is a node's text without its marks.
func plain(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Value(source))
			if t.SoftLineBreak() {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}
