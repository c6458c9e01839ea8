package template

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing of a template that cannot be deployed.
type Problem struct {
	Line int
	Text string
	// Lacking: it is something that Millstream has none of, and Options.SkipUnsupported
	// leaves out.
	Lacking bool
}

// Problems lists everything that stands against a deployment, by line. It is the
// error of Read and Plan.
type Problems struct {
	File string
	List []Problem

	skip bool // what is lacking goes to left
	left []Left
}

func (p *Problems) Error() string {
	var b strings.Builder
	if len(p.List) == 1 {
		fmt.Fprintf(&b, "%s:%d: %s", p.File, p.List[0].Line, p.List[0].Text)
		return b.String()
	}
	fmt.Fprintf(&b, "%s cannot be deployed, and nothing was touched:", p.File)
	for _, one := range p.List {
		fmt.Fprintf(&b, "\n  line %d: %s", one.Line, one.Text)
	}
	return b.String()
}

func (p *Problems) add(line int, format string, args ...any) {
	one := Problem{Line: line, Text: fmt.Sprintf(format, args...)}
	if !slices.Contains(p.List, one) {
		p.List = append(p.List, one)
	}
}

// err returns nil when there are none.
func (p *Problems) err() error {
	if len(p.List) == 0 {
		return nil
	}
	slices.SortStableFunc(p.List, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return p
}

// atLine is a single fault of the template's form.
type atLine struct {
	line int
	text string
}

func (e *atLine) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.text) }

func lineError(line int, format string, args ...any) error {
	return &atLine{line, fmt.Sprintf(format, args...)}
}
