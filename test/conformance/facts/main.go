// Command facts lists the facts of facts.md that no case of the suite names, and
// fails when one of them is sure (confidence H or M). With -all it lists every fact with
// the files that name it. -also names folders of other tests, for what cannot be seen from
// outside of a server: Millstream's own unless told otherwise.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// own is where Millstream's own tests are, seen from the suite's folder.
const own = "../../internal"

func main() {
	all := flag.Bool("all", false, "list every fact with the files that name it")
	root := flag.String("suite", ".", "folder of the suite")
	also := flag.String("also", own, "folders of other tests, with commas between them")
	flag.Parse()
	roots := []string{*root}
	if *also != "" {
		roots = append(roots, strings.Split(*also, ",")...)
	}
	missing, err := list(roots, *all)
	if err == nil && missing > 0 {
		err = fmt.Errorf("%d sure facts have no case", missing)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "facts:", err)
		os.Exit(1)
	}
}

// fact is one line of facts.md.
type fact struct {
	id, text string
	sure     bool   // H or M
	chosen   string // what a server should do, where the evidence is weak
	cases    []string
}

// list prints the facts of the suite that is the first of roots.
func list(roots []string, all bool) (missing int, err error) {
	facts, err := read(filepath.Join(roots[0], "facts.md"))
	if err != nil {
		return 0, err
	}
	cases := map[string][]string{}
	for _, root := range roots {
		if err := named(root, cases); err != nil {
			return 0, err
		}
	}
	known := map[string]bool{}
	for _, f := range facts {
		known[f.id] = true
		f.cases = cases[f.id]
		switch {
		case all:
			fmt.Println(f.id, strings.Join(f.cases, " "))
		case len(f.cases) > 0:
		case f.sure:
			missing++
			fmt.Println(f.id, "no case:", f.text)
		case f.chosen == "":
			missing++
			fmt.Println(f.id, "not sure, and nothing was chosen:", f.text)
		default:
			fmt.Println(f.id, "not sure. Chosen:", f.chosen)
		}
	}
	for id, files := range cases {
		if !known[id] {
			err = errors.Join(err, fmt.Errorf("%s: there is no fact %s", strings.Join(files, ", "), id))
		}
	}
	return missing, err
}

var (
	factLine   = regexp.MustCompile(`^(?:- |\| )(\d{1,2}\.\d\d) (?:\| )?(.*)$`)
	tag        = regexp.MustCompile(`\[([^\[\]]*)\](?: Chosen: (.*?))?[ |]*$`)
	confidence = regexp.MustCompile(`\b[HML]\b`)
	citation   = regexp.MustCompile(`\[((?:\d{1,2}\.\d\d(?:, )?)+) [DTCO?]`)
)

// read reads the facts. Each is one line, and ends with its tag and, where the
// evidence is weak, with what was chosen.
func read(path string) ([]*fact, error) {
	body, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var facts []*fact
	for line := range strings.SplitSeq(string(body), "\n") {
		m := factLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		t := tag.FindStringSubmatch(line)
		if t == nil {
			return nil, fmt.Errorf("%s: the fact %s does not end with its tag", path, m[1])
		}
		found := confidence.FindString(t[1])
		facts = append(facts, &fact{id: m[1], text: m[2], sure: found == "H" || found == "M", chosen: t[2]})
	}
	return facts, nil
}

// named adds the facts that the tests below a folder name.
func named(root string, cases map[string][]string) error {
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range citation.FindAllSubmatch(body, -1) {
			for id := range strings.SplitSeq(string(m[1]), ", ") {
				if !slices.Contains(cases[id], path) {
					cases[id] = append(cases[id], path)
				}
			}
		}
		return nil
	})
}
