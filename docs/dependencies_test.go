package docs_test

import (
	"encoding/json"
	"encoding/xml"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// approved are licences that the Open Source Initiative has approved, by their names in
// SPDX. Another may be added when it has been looked up there.
var approved = []string{
	"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "CNRI-Python", "GPL-2.0-or-later", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "PostgreSQL",
	"Python-2.0", "Unlicense", "Zlib",
}

// Everything that is built or tested with is in dependencies.md with an approved licence,
// and nothing else is.
func TestDependenciesAreListed(t *testing.T) {
	tables := dependencyTables(t)
	for _, c := range []struct {
		heading string
		used    map[string]string // to the file that names it
	}{
		{"Go modules", goModules(t, "..", "../test/conformance", "../test/suites/gosdk")},
		{"npm packages, of tests", npmPackages(t, "../.ci/packages/*/package.json", "../test/suites/*/package.json", "../examples/*/*/package.json")},
		{"PyPI packages, of tests", pythonPackages(t, "../.ci/packages/*.txt", "../test/suites/*/requirements.txt")},
		{"Maven artifacts, of tests", mavenArtifacts(t, "../.ci/packages/*.xml", "../test/suites/*/pom.xml", "../examples/*/*/pom.xml")},
		{"Crates, of tests", crates(t, "../test/tools/testdata/sam/rust/*/Cargo.toml")},
	} {
		listed := tables[c.heading]
		for _, name := range slices.Sorted(maps.Keys(c.used)) {
			if _, ok := listed[name]; !ok {
				t.Errorf("%s names %s: look up its licence and add it to dependencies.md, %q", c.used[name], name, c.heading)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(listed)) {
			if _, ok := c.used[name]; !ok {
				t.Errorf("dependencies.md, %q, lists %s, which nothing uses", c.heading, name)
			}
		}
	}
}

func TestDependenciesAreOpenSource(t *testing.T) {
	for heading, table := range dependencyTables(t) {
		for name, licences := range table {
			for licence := range strings.SplitSeq(licences, ", ") {
				if !slices.Contains(approved, licence) {
					t.Errorf("%s: %s is under %q, which is not on the list of approved licences", heading, name, licence)
				}
			}
		}
	}
	for _, path := range glob(t, "../.ci/packages/*/package-lock.json", "../test/suites/*/package-lock.json") {
		var lock struct {
			Packages map[string]struct{ License string }
		}
		unmarshal(t, path, &lock)
		for name, p := range lock.Packages {
			said := name == "node_modules/js-object-utilities" && p.License == "UNLICENSE" || strings.HasSuffix(name, "node_modules/querystring") && p.License == ""
			if name != "" && !said && !mayUse(p.License) {
				t.Errorf("%s: %s is under %q, which is not on the list of approved licences", path, name, p.License)
			}
		}
	}
}

// mayUse reports whether an expression of SPDX's names an approved licence: one of those of
// OR, all of those of AND.
func mayUse(expression string) bool {
	expression = strings.Trim(expression, "()")
	for one := range strings.SplitSeq(expression, " OR ") {
		if !slices.ContainsFunc(strings.Split(one, " AND "), func(l string) bool { return !slices.Contains(approved, l) }) {
			return true
		}
	}
	return false
}

// dependencyTables returns the licences by names, by the headings of the page.
func dependencyTables(t *testing.T) map[string]map[string]string {
	row := regexp.MustCompile("^\\| `([^`]+)` \\| ([^|]+) \\|$")
	tables := map[string]map[string]string{}
	heading := ""
	for line := range strings.Lines(page(t, "dependencies.md")) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "## "); ok {
			heading = name
		}
		if m := row.FindStringSubmatch(line); m != nil {
			if tables[heading] == nil {
				tables[heading] = map[string]string{}
			}
			tables[heading][m[1]] = m[2]
		}
	}
	return tables
}

func goModules(t *testing.T, folders ...string) map[string]string {
	required := regexp.MustCompile(`(?m)^(?:require |\t)(\S+) v\S+`)
	out := map[string]string{}
	for _, folder := range folders {
		path := filepath.Join(folder, "go.mod")
		for _, m := range required.FindAllStringSubmatch(page(t, path), -1) {
			out[m[1]] = path
		}
	}
	return out
}

func npmPackages(t *testing.T, patterns ...string) map[string]string {
	out := map[string]string{}
	for _, path := range glob(t, patterns...) {
		var p struct{ Dependencies map[string]string }
		unmarshal(t, path, &p)
		for name, version := range p.Dependencies {
			out[name] = path
			if strings.ContainsAny(version, "^~*x><") {
				t.Errorf("%s: %s has no exact version: %s", path, name, version)
			}
		}
	}
	return out
}

func pythonPackages(t *testing.T, patterns ...string) map[string]string {
	out := map[string]string{}
	for _, path := range glob(t, patterns...) {
		for line := range strings.Lines(page(t, path)) {
			name, _, exact := strings.Cut(strings.TrimSpace(line), "==")
			if !exact {
				t.Errorf("%s: %q names no exact version", path, line)
			}
			out[name] = path
		}
	}
	return out
}

func mavenArtifacts(t *testing.T, patterns ...string) map[string]string {
	out := map[string]string{}
	for _, path := range glob(t, patterns...) {
		var pom struct {
			Dependencies []struct {
				Group    string `xml:"groupId"`
				Artifact string `xml:"artifactId"`
			} `xml:"dependencies>dependency"`
		}
		if err := xml.Unmarshal([]byte(page(t, path)), &pom); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, d := range pom.Dependencies {
			out[d.Group+":"+d.Artifact] = path
		}
	}
	return out
}

func crates(t *testing.T, patterns ...string) map[string]string {
	dependency := regexp.MustCompile(`(?m)^(\S+) = `)
	out := map[string]string{}
	for _, path := range glob(t, patterns...) {
		_, dependencies, _ := strings.Cut(page(t, path), "[dependencies]\n")
		for _, m := range dependency.FindAllStringSubmatch(dependencies, -1) {
			out[m[1]] = path
		}
	}
	return out
}

// glob returns the files of all patterns; each pattern must have some.
func glob(t *testing.T, patterns ...string) []string {
	t.Helper()
	var out []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no file is like %s (%v)", pattern, err)
		}
		out = append(out, found...)
	}
	return out
}

func unmarshal(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
