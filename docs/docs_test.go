// Package docs_test holds the pages to what is in the tree.
package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/server"
)

func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The names of metrics are frozen in the page, so it is the page that says what
// they are.
func TestMetricsPageIsTrue(t *testing.T) {
	var want strings.Builder
	want.WriteString("| name | kind | labels | |\n|---|---|---|---|\n")
	for _, m := range server.MetricTable {
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, strings.Join(m.Labels, ", "), m.Help)
	}
	if !strings.Contains(page(t, "metrics.md"), want.String()) {
		t.Errorf("metrics.md does not hold this table:\n%s", want.String())
	}
}

// Every test that testing.md names exists.
func TestTestingPageNamesRealTests(t *testing.T) {
	declared := map[string]bool{}
	name := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == ".git" {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, m := range name.FindAllStringSubmatch(string(source), -1) {
			declared[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(page(t, "testing.md"), -1)
	if len(named) == 0 {
		t.Fatal("testing.md names no test")
	}
	for _, n := range named {
		if !declared[n] {
			t.Errorf("testing.md names %s, which does not exist", n)
		}
	}
}

// What the first page links to is in the release's archives.
func TestReleaseHoldsWhatTheFirstPageLinksTo(t *testing.T) {
	script, err := os.ReadFile("../scripts/release.sh")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?m)^shipped=\((.*)\)$`).FindSubmatch(script)
	if list == nil {
		t.Fatal("release.sh has no list of what is shipped")
	}
	if !strings.Contains(string(script), `tar -C "$dist" -czf "$dist/$name.tar.gz" "$name"`) {
		t.Error("an archive does not unpack into a folder of its own name")
	}
	shipped := strings.Fields(string(list[1]))
	for _, m := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(page(t, "../README.md"), -1) {
		if first, _, _ := strings.Cut(m[1], "/"); !strings.Contains(m[1], "://") && !slices.Contains(shipped, first) && !slices.Contains(shipped, m[1]) {
			t.Errorf("README.md links to %s, which no archive holds", m[1])
		}
	}
}

// Links between pages, and from pages to folders, lead somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	below, err := filepath.Glob("*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages = append(pages, below...)
	link := regexp.MustCompile(`\]\(([^)#]+)`)
	for _, p := range append(pages, "../README.md", "../CONTRIBUTING.md", "../SECURITY.md", "../CHANGELOG.md", "../test/README.md", "../test/conformance/README.md", "../test/suites/README.md", "../examples/README.md") {
		for _, m := range link.FindAllStringSubmatch(page(t, p), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(p), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", p, m[1])
			}
		}
	}
}
