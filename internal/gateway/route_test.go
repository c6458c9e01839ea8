package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/millstreamdb/millstream/internal/schema"
)

// TestRoutes runs testdata/routes. Commands:
//
//	api KIND      routes, one "METHOD PATH" a line
//	find          requests, one "METHOD PATH" a line, and the route and parameters of each
func TestRoutes(t *testing.T) {
	datadriven.Walk(t, "testdata/routes", func(t *testing.T, path string) {
		var l *live
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			lines := strings.Split(strings.TrimSpace(d.Input), "\n")
			switch d.Cmd {
			case "api":
				a := API{Name: "a", Kind: d.CmdArgs[0].Key}
				for _, line := range lines {
					method, path, _ := strings.Cut(line, " ")
					a.Routes = append(a.Routes, Route{Method: method, Path: path, Function: "f"})
				}
				if err := check(&a); err != nil {
					return err.Error() + "\n"
				}
				var err error
				if l, err = newLive(schema.Scope{}, a); err != nil {
					return err.Error() + "\n"
				}
				return ""
			case "find":
				var b strings.Builder
				for _, line := range lines {
					method, path, _ := strings.Cut(line, " ")
					route, params := l.find(method, split(path))
					if route == nil {
						fmt.Fprintf(&b, "%s: none\n", line)
						continue
					}
					fmt.Fprintf(&b, "%s: %s %s", line, route.Method, route.Path)
					for _, name := range sorted(params) {
						fmt.Fprintf(&b, " %s=%q", name, params[name])
					}
					b.WriteByte('\n')
				}
				return b.String()
			}
			t.Fatalf("unknown command %s", d.Cmd)
			return ""
		})
	})
}

func sorted(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestRefusedAPIs(t *testing.T) {
	ok := Route{Method: "GET", Path: "/", Function: "f"}
	long := make([]Route, maxRoutes+1)
	for name, a := range map[string]API{
		"no name":        {},
		"slash":          {Name: "a/b"},
		"kind":           {Name: "a", Kind: "soap"},
		"stage":          {Name: "a", Stage: "a/b"},
		"many":           {Name: "a", Routes: long},
		"method":         {Name: "a", Routes: []Route{{Method: "BREW", Path: "/", Function: "f"}}},
		"no function":    {Name: "a", Routes: []Route{{Path: "/"}}},
		"path":           {Name: "a", Routes: []Route{{Path: "x", Function: "f"}}},
		"long path":      {Name: "a", Routes: []Route{{Path: "/" + strings.Repeat("x", maxPath), Function: "f"}}},
		"greedy inside":  {Name: "a", Routes: []Route{{Path: "/{a+}/b", Function: "f"}}},
		"half parameter": {Name: "a", Routes: []Route{{Path: "/{a", Function: "f"}}},
		"no parameter":   {Name: "a", Routes: []Route{{Path: "/{}", Function: "f"}}},
		"two names":      {Name: "a", Routes: []Route{{Path: "/{a}/{a}", Function: "f"}}},
		"twice":          {Name: "a", Routes: []Route{ok, ok}},
		"format":         {Name: "a", Routes: []Route{{Path: "/", Function: "f", Payload: "3.0"}}},
		"rest format":    {Name: "a", Kind: kindREST, Routes: []Route{{Path: "/", Function: "f", Payload: "2.0"}}},
		"timeout":        {Name: "a", Routes: []Route{{Path: "/", Function: "f", TimeoutMS: -1}}},
	} {
		var e *Error
		if err := check(&a); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
