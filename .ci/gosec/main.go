// Command gosec runs the rules of gosec over packages and prints what they find that nobody has looked at. It ends with code 1 when there is
// anything, or when a line of the list of what was looked at excuses nothing any more.
// It is the library and this file, since the program of gosec is built with the SDKs of three language models.
//
//	gosec REVIEWED . ./cmd/... ./internal/...
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/securego/gosec/v2"
	"github.com/securego/gosec/v2/analyzers"
	"github.com/securego/gosec/v2/rules"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: gosec REVIEWED PACKAGE...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// excuse is a line of the list: a rule, the file or folder where its findings were looked at (*: everywhere), and why they may stay.
type excuse struct {
	text, rule, where string
	used              int
}

func (e *excuse) covers(rule, file string) bool {
	return e.rule == rule && (e.where == "*" || e.where == file || strings.HasSuffix(e.where, "/") && strings.HasPrefix(file, e.where))
}

func readExcuses(name string) (all []*excuse, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 4 {
			return nil, fmt.Errorf("%s: %q is no rule, place and reason", name, line)
		}
		all = append(all, &excuse{text: line, rule: fields[0], where: fields[1]})
	}
	return all, lines.Err()
}

// others are folders of code that does not serve anybody: tests, and measurements.
var others = regexp.MustCompile(`(^|/)(testdata|bench|backendtest|recordtest|crashtest)(/|$)`)

func run(reviewed string, patterns []string) error {
	excuses, err := readExcuses(reviewed)
	if err != nil {
		return err
	}
	a := gosec.NewAnalyzer(gosec.NewConfig(), false, true, false, runtime.GOMAXPROCS(0), log.New(io.Discard, "", 0))
	r := rules.Generate(false)
	a.LoadRules(r.RulesInfo())
	s := analyzers.Generate(false)
	a.LoadAnalyzers(s.AnalyzersInfo())
	var packages []string
	for _, p := range patterns {
		some, err := gosec.PackagePaths(p, []*regexp.Regexp{others})
		if err != nil {
			return err
		}
		packages = append(packages, some...)
	}
	if err := a.Process(nil, packages...); err != nil {
		return err
	}
	issues, metrics, problems := a.Report()
	for file, all := range problems { // what could not be read was not looked at
		for _, p := range all {
			return fmt.Errorf("%s:%d: %s", file, p.Line, p.Err)
		}
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	var errs []error
	for _, i := range issues {
		file, err := filepath.Rel(here, i.File)
		if err != nil {
			return err
		}
		excused := false
		for _, e := range excuses {
			if e.covers(i.RuleID, filepath.ToSlash(file)) {
				excused = true
				e.used++
				break
			}
		}
		if !excused {
			errs = append(errs, fmt.Errorf("%s:%s: %s %s", file, i.Line, i.RuleID, i.What))
		}
	}
	for _, e := range excuses {
		if e.used == 0 {
			errs = append(errs, fmt.Errorf("%s: nothing is found there any more: %s", reviewed, e.text))
		}
	}
	fmt.Printf("%d files, %d findings, %d of them not looked at\n", metrics.NumFiles, len(issues), len(errs))
	if metrics.NumFiles == 0 {
		errs = append(errs, errors.New("no file was looked at"))
	}
	return errors.Join(errs...)
}
