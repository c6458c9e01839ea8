package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/millstreamdb/millstream/internal/item"
)

// TestScenarios runs the files of testdata/scenarios. A scenario is a command, the
// expression on a line of its own, and what it is used with:
//
//	condition | filter | key-condition | projection | update
//	<expression>
//	names {"#n": "attribute", ...}
//	values {":v": {"S": "..."}, ...}
//	item {"attribute": {"S": "..."}, ...}
//	key {"pk": {"S": "..."}}
//	----
//	<what comes out, or the error>
//
// Any number of item lines may follow one expression; each adds a line of
// output. A line that is "item" alone stands for no item. "go test -rewrite"
// writes the outputs anew.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s := readScenario(t, d)
			out, err := s.run(d.Cmd)
			if err != nil {
				out = append(out, err.Error())
			}
			return strings.Join(out, "\n") + "\n"
		})
	})
}

type scenario struct {
	src    string
	names  []Name
	values []item.Entry
	items  []item.Item
	key    item.Item
}

func readScenario(t *testing.T, d *datadriven.TestData) *scenario {
	s := &scenario{}
	for _, line := range strings.Split(d.Input, "\n") {
		what, text, _ := strings.Cut(line, " ")
		switch what {
		case "names":
			s.names = []Name{}
			for name, v := range mustItem(t, wrapNames(text)).Fields() {
				s.names = append(s.names, Name{Key: string(name), Attribute: v.Text()})
			}
		case "values":
			s.values = []item.Entry{}
			for name, v := range mustItem(t, text).Fields() {
				s.values = append(s.values, item.Entry{Name: string(name), Value: v})
			}
		case "item":
			if text == "" {
				s.items = append(s.items, nil)
			} else {
				s.items = append(s.items, mustItem(t, text))
			}
		case "key":
			s.key = mustItem(t, text)
		default:
			if s.src != "" {
				t.Fatalf("%s: a second expression: %s", d.Pos, line)
			}
			s.src = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|") // |...| keeps blanks
		}
	}
	return s
}

// wrapNames turns {"#n": "a"} into the wire form of a map of strings.
func wrapNames(text string) string {
	parts := strings.Split(strings.Trim(text, "{}"), ",")
	for i, p := range parts {
		key, name, ok := strings.Cut(p, ":")
		if ok {
			parts[i] = key + `: {"S":` + name + `}`
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func mustItem(t testing.TB, text string) item.Item {
	t.Helper()
	var r item.Reader
	r.Reset([]byte(text))
	it, invalid, err := r.Item()
	if invalid != nil || err != nil {
		t.Fatalf("%s: %v %v", text, invalid, err)
	}
	return it
}

func (s *scenario) run(cmd string) (out []string, _ error) {
	p, err := NewParams(s.names, s.values)
	if err != nil {
		return nil, err
	}
	var result func(it item.Item) string
	switch cmd {
	case "condition", "filter":
		kind := ConditionExpression
		if cmd == "filter" {
			kind = FilterExpression
		}
		c, err := ParseCondition(kind, s.src, p)
		if err != nil {
			return nil, err
		}
		result = func(it item.Item) string {
			ok, err := c.Eval(it)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprint(ok)
		}
	case "projection":
		pr, err := ParseProjection(s.src, p)
		if err != nil {
			return nil, err
		}
		result = func(it item.Item) string { return show(pr.Apply(it)) }
	case "update":
		u, err := ParseUpdate(s.src, p)
		if err != nil {
			return nil, err
		}
		result = func(old item.Item) string {
			new, err := u.Apply(old, s.key)
			if err != nil {
				return err.Error()
			}
			if err := new.Validate(); err != nil {
				return "not canonical: " + err.Error()
			}
			return show(new) + "\n  updated old: " + show(u.UpdatedOld(old)) + "\n  updated new: " + show(u.UpdatedNew(old, new))
		}
		out = append(out, fmt.Sprintf("writes %v, removes only: %v", u.Attributes(), u.RemovesOnly()))
	case "key-condition":
		kc, err := ParseKeyCondition(s.src, p, MaxKeyConditions)
		if err != nil {
			return nil, err
		}
		for _, t := range kc.Conditions {
			line := t.Attribute + " " + [...]string{"=", "<", "<=", ">", ">=", "between", "begins with"}[t.Op]
			for _, v := range t.Values {
				line += " " + string(v.AppendJSON(nil))
			}
			out = append(out, line)
		}
	default:
		return nil, fmt.Errorf("no command %s", cmd)
	}
	if err := p.Unused(); err != nil {
		return nil, err
	}
	for _, it := range s.items {
		out = append(out, result(it))
	}
	if len(out) == 0 {
		out = append(out, "ok")
	}
	return out, nil
}

func show(it item.Item) string {
	if it == nil {
		return "nothing"
	}
	return string(it.AppendJSON(nil))
}
