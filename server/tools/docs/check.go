package main

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// checkout is what pages may name.
type checkout struct {
	root    string
	pages   []string
	files   map[string]bool // from the checkout's top on, folders too
	ends    map[string]bool // the same without their first folders: `shard/ring.go`
	tests   map[string]bool
	targets map[string]bool // of the Makefile
}

// skipped holds what is made here and belongs to nobody's guide.
var skipped = []string{".git", ".build", ".state", "backups", "target", "tmp", "results", "node_modules"}

// made are files that come about when the system runs.
var made = []string{".env", ".env.secrets", "tuned.conf", "manifest.json", "index.html", "coverage.html"}

var (
	aTest   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)\w+)\(`)
	aTarget = regexp.MustCompile(`(?m)^([a-z0-9][a-z0-9-]*):`)

	// What a page names: a file, by its suffix, or a folder, by the slash behind it; a test; a command.
	nameOfFile   = regexp.MustCompile(`^[\w./-]+(\.(go|sh|sql|md|ya?ml|conf|ini|scala|xml|py|js|css|html|svg|mod|lua|json|toml)|/)$`)
	nameOfTest   = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z]\w*$`)
	nameOfTarget = regexp.MustCompile(`\bmake ([a-z][a-z0-9-]*)(…?)`)
)

// check reads all pages of the checkout and says what is wrong with them.
func check(root string) (problems []string, pages int, err error) {
	c, err := look(root)
	if err != nil {
		return nil, 0, err
	}
	parsed := make(map[string]page)
	for _, name := range c.pages {
		source, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, 0, err
		}
		if parsed[name], err = parse(source); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range c.pages {
		p := parsed[name]
		say := func(line int, format string, args ...any) {
			problems = append(problems, fmt.Sprintf("%s:%d: ", name, line)+fmt.Sprintf(format, args...))
		}
		for _, l := range p.links {
			if wrong := c.follow(name, l.text, parsed); wrong != "" {
				say(l.line, "%s", wrong)
			}
		}
		for _, s := range p.spans {
			switch {
			case nameOfFile.MatchString(s.text) && !c.has(name, s.text):
				say(s.line, "`%s`: there is no such file", s.text)
			case nameOfTest.MatchString(s.text) && !c.tests[s.text]:
				say(s.line, "`%s`: there is no such test", s.text)
			}
			c.checkTargets(s.text, func(_ int, wrong string) { say(s.line, "%s", wrong) })
		}
		for _, f := range p.fences {
			if strings.HasPrefix(f.info, "sh") {
				c.checkTargets(f.text, func(after int, wrong string) { say(f.line+after, "%s", wrong) })
			}
		}
	}
	return problems, len(c.pages), nil
}

// look finds everything that may be named.
func look(root string) (*checkout, error) {
	c := &checkout{root: root, files: map[string]bool{}, ends: map[string]bool{}, tests: map[string]bool{}, targets: map[string]bool{}}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err = filepath.Rel(root, name)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() && slices.Contains(skipped, path.Base(name)) && name != "loadtest/gatling/results" {
			return fs.SkipDir
		}
		c.files[name] = true
		for end := name; end != ""; {
			c.ends[end] = true
			_, end, _ = strings.Cut(end, "/")
		}
		switch {
		case strings.HasSuffix(name, ".md"):
			c.pages = append(c.pages, name)
		case strings.HasSuffix(name, "_test.go"):
			return collect(filepath.Join(root, name), aTest, c.tests)
		case name == "Makefile":
			return collect(filepath.Join(root, name), aTarget, c.targets)
		}
		return nil
	})
	return c, err
}

func collect(file string, pattern *regexp.Regexp, into map[string]bool) error {
	source, err := os.ReadFile(file)
	for _, found := range pattern.FindAllSubmatch(source, -1) {
		into[string(found[1])] = true
	}
	return err
}

// follow says what is wrong with a link, if anything is.
func (c *checkout) follow(from, link string, pages map[string]page) string {
	u, err := url.Parse(link)
	if err != nil {
		return fmt.Sprintf("(%s): %v", link, err)
	}
	if u.Scheme != "" {
		return ""
	}
	to := from
	if u.Path != "" {
		to = path.Join(path.Dir(from), u.Path)
	}
	if !c.files[to] {
		return fmt.Sprintf("(%s): there is no %s", link, to)
	}
	if p, isPage := pages[to]; isPage && u.Fragment != "" && !p.anchors[u.Fragment] {
		return fmt.Sprintf("(%s): %s has no such heading", link, to)
	}
	return ""
}

// has tells whether there is such a file or folder, seen from the page or from any folder.
func (c *checkout) has(from, name string) bool {
	if slices.Contains(made, path.Base(name)) || strings.HasPrefix(name, "/") {
		return true
	}
	name = strings.TrimSuffix(name, "/")
	return c.files[path.Join(path.Dir(from), name)] || c.ends[path.Clean(name)]
}

// checkTargets looks for commands of the Makefile in a text. `make loadtest-…` stands for several.
func (c *checkout) checkTargets(text string, wrong func(line int, what string)) {
	for _, at := range nameOfTarget.FindAllStringSubmatchIndex(text, -1) {
		name := text[at[2]:at[3]]
		if at[4] == at[5] && !c.targets[name] {
			wrong(strings.Count(text[:at[0]], "\n"), fmt.Sprintf("make %s: there is no such command", name))
		}
	}
}
