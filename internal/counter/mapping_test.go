package counter

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// Every counter has a name of its own in each place, and a text.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for i, r := range Rows {
		for _, name := range []string{r.Name, r.Metric} {
			if seen[name] || strings.Contains(name, "__") {
				t.Errorf("%s is there twice, or empty", name)
			}
			seen[name] = true
		}
		if !strings.HasSuffix(r.Help, ".") {
			t.Errorf("%s: %q", r.Name, r.Help)
		}
		var c Mapping
		reflect.ValueOf(&c).Elem().Field(i).SetUint(7)
		b, err := json.Marshal(c)
		if err != nil || r.Of(&c) != 7 || !strings.Contains(string(b), `"`+r.Name+`":7`) {
			t.Errorf("%s: %s, %v", r.Name, b, err)
		}
	}
}

func TestAdd(t *testing.T) {
	var c, d Mapping
	for i := range Rows {
		reflect.ValueOf(&c).Elem().Field(i).SetUint(uint64(i))
		reflect.ValueOf(&d).Elem().Field(i).SetUint(100)
	}
	c.Add(d)
	for i, r := range Rows {
		if r.Of(&c) != uint64(i)+100 {
			t.Errorf("%s: %d", r.Name, r.Of(&c))
		}
	}
}
