package expr

import (
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
)

func TestTransitions(t *testing.T) {
	image := func(status string, total string, more ...item.Entry) item.Item {
		return item.NewItem(append([]item.Entry{
			{Name: "status", Value: item.String(status)}, {Name: "total", Value: item.Number(total)},
			{Name: "odd name.", Value: item.Bool(true)}, {Name: "list", Value: item.List(item.Number("7"), item.Null())},
		}, more...))
	}
	placed, paid := image("placed", "10"), image("paid", "-1.5e2")
	for _, c := range []struct {
		text     string
		old, new item.Item
		want     bool
	}{
		{`OLD.status <> NEW.status`, placed, paid, true},
		{`OLD.status <> NEW.status`, placed, placed, false},
		{`OLD.status <> NEW.status`, nil, placed, true}, // what is missing is different
		{`OLD.status = NEW.status`, nil, placed, false},
		{`NEW.status = 'paid' AND OLD.total > NEW.total`, placed, paid, true},
		{`NEW.total = -150`, placed, paid, true},
		{`NEW.total between -1E3 and -149.99`, placed, paid, true},
		{`attribute_not_exists(OLD) and attribute_exists(NEW.status)`, nil, placed, true},
		{`attribute_not_exists(NEW)`, placed, nil, true},
		{`NEW."odd name." = true AND NEW.list[0] = 7 AND NEW.list[1] = null`, nil, placed, true},
		{`NOT (begins_with(NEW.status, 'pl') OR size(NEW.list) < 2)`, nil, paid, true},
		{`NEW.status IN ('it''s', 'paid')`, nil, paid, true},
		{`NEW.NEW = OLD.OLD`, placed, paid, false},
		{`contains(NEW.status, 'ai')`, nil, paid, true},
	} {
		change, err := ParseTransition(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := change.Eval(c.old, c.new); got != c.want {
			t.Errorf("%s: %t", c.text, got)
		}
	}
	for text, want := range map[string]string{
		``:                                     "condition",
		`status = 'paid'`:                      `at "status = 'paid'": paths begin with OLD. or NEW.`,
		`NEW.status = "paid"`:                  "text is written 'so'",
		`NEW.status = 'paid`:                   "the quote is not closed",
		`NEW.status = :s`:                      "placeholders are for requests",
		`NEW.total = 1.2.3`:                    "no number",
		`NEW.status == 'paid'`:                 `token: "="`,
		`NEW.status = 'paid' OR`:               "<EOF>",
		`size(NEW.status)`:                     "size",
		`nothing(NEW.status)`:                  "nothing",
		`NEW.a = ` + strings.Repeat("9", 4096): "4096",
	} {
		if _, err := ParseTransition(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
	if c, err := ParseTransition(`NEW.a = 1`); err != nil {
		t.Error(err)
	} else if old, new := c.Reads(); old || !new {
		t.Error(old, new)
	}
	if !(*Transition)(nil).Eval(nil, nil) {
		t.Error("no condition does not hold")
	}
}

func FuzzTransition(f *testing.F) {
	for _, s := range []string{`OLD.a <> NEW.a`, `NEW."x" = 'y''' and size(OLD.b[3]) > -1.5e+3`, `attribute_exists(NEW)`, `NEW.a in (1, true, null)`} {
		f.Add(s)
	}
	it := item.NewItem([]item.Entry{{Name: "a", Value: item.String("x")}})
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseTransition(text)
		if err != nil {
			return
		}
		c.Eval(nil, it)
		c.Eval(it, nil)
		if again, err := ParseTransition(c.String()); err != nil || again.Eval(it, it) != c.Eval(it, it) {
			t.Errorf("%q: not the same again, %v", text, err)
		}
	})
}
