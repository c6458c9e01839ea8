package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestInside(t *testing.T) {
	v := View{Code: "/data/code/1/task", Layers: []string{"/data/code/2/task", "/data/code/3/task"}, Runtime: "/data/code/runtime"}
	for text, want := range map[string]string{
		"/data/code/1/task": "/var/task",
		"PATH=/bin:/data/code/2/task/bin:/data/code/3/task/bin": "PATH=/bin:/opt/bin:/opt/bin",
		"/data/code/1/task:/data/code/1/task/lib/*":             "/var/task:/var/task/lib/*",
		"/data/code/1/task-two/x:/data/code/1/task/x":           "/data/code/1/task-two/x:/var/task/x",
		"/data/code/runtime/node/main.mjs":                      "/var/runtime/node/main.mjs",
		"/usr/bin/node":                                         "/usr/bin/node",
		"":                                                      "",
	} {
		if got := v.Inside(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	empty := View{}
	if got := empty.Inside("/a:/b"); got != "/a:/b" {
		t.Errorf("without anything: %s", got)
	}
}

// A need shows neither the home of the server's user nor its data, whatever program lies beside them, also not by a link.
func TestWhatIsShown(t *testing.T) {
	home, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	data := filepath.Join(home, "opt", "data")
	for _, dir := range []string{data, home + "/bin", home + "/opt/bin", home + "/opt/lib", home + "/node/bin", home + "/node/lib/node_modules"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{home + "/bin/node", home + "/opt/bin/node", home + "/node/bin/node"} {
		if err := os.WriteFile(file, nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(home, home+"/node/all"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		needs, want []string
	}{
		{Around(home + "/node/bin/node"), []string{home + "/node"}},
		{Around(home + "/bin/node"), []string{home + "/bin/node"}},
		{Around(home + "/opt/bin/node"), []string{home + "/opt/lib", home + "/opt/bin/node"}},
		{[]string{home + "/node/lib/node_modules", home + "/node"}, []string{home + "/node"}},
		{[]string{home + "/node/all", data, "/", "", "relative", home + "/missing"}, nil},
		{[]string{"/usr/bin/x", "/usr/lib"}, nil},
	} {
		v := View{Needs: c.needs, Hidden: []string{data}}
		if got := v.shown([]string{"/usr"}); !slices.Equal(got, c.want) {
			t.Errorf("of %v are shown %v, want %v", c.needs, got, c.want)
		}
	}
}
