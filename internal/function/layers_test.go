package function

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
)

func publishLayer(t *testing.T, s *Service, name string, files ...entry) string {
	t.Helper()
	doc, err := s.PublishLayer(scope, name, LayerRequest{Content: CodeRequest{ZipFile: makeZip(t, files...)}})
	if err != nil {
		t.Fatal(err)
	}
	return doc.LayerVersionArn
}

func withLayers(arns ...string) json.RawMessage {
	text, _ := json.Marshal(arns) // strings always marshal
	return text
}

// Modules, programs and a bootstrap are found in layers; what a later layer has hides what an
// earlier one has, and the package hides both.
func TestLayersAreLaidOverEachOther(t *testing.T) {
	s := open(t, Options{})
	for _, c := range []struct {
		program, runtime, handler string
		first, second, own        []entry
		want                      string
	}{
		{"node", "nodejs22.x", "index.handler",
			[]entry{js("nodejs/node_modules/a/index.js", `module.exports = "a1"`), js("nodejs/node_modules/b/index.js", `module.exports = "b1"`), js("nodejs/node22/node_modules/d/index.js", `module.exports = "d1"`),
				{"bin/greet", 0o755, "#!/bin/sh\necho hello\n"}},
			[]entry{js("nodejs/node_modules/a/index.js", `module.exports = "a2"`), js("nodejs/node_modules/c/index.js", `module.exports = "c2"`)},
			[]entry{js("node_modules/c/index.js", `module.exports = "c0"`),
				js("index.js", `exports.handler = async () => [require("a"), require("b"), require("c"), require("d"), require("child_process").execSync("greet").toString().trim()].join(" ")`)},
			`"a2 b1 c0 d1 hello"`},
		{"python3", "python3.12", "index.handler",
			[]entry{js("python/a.py", `v = "a1"`), js("python/b.py", `v = "b1"`), js("python/lib/python3.12/site-packages/d.py", `v = "d1"`), {"bin/greet", 0o755, "#!/bin/sh\necho hello\n"}},
			[]entry{js("python/a.py", `v = "a2"`), js("python/c.py", `v = "c2"`)},
			[]entry{js("c.py", `v = "c0"`), js("index.py", "import a, b, c, d, subprocess\ndef handler(e, x):\n    return ' '.join([a.v, b.v, c.v, d.v, subprocess.check_output(['greet'], text=True).strip()])\n")},
			`"a2 b1 c0 d1 hello"`},
	} {
		t.Run(c.runtime, func(t *testing.T) {
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skip(c.program + " is not in PATH")
			}
			first, second := publishLayer(t, s, "first-"+c.program, c.first...), publishLayer(t, s, "second-"+c.program, c.second...)
			r := createRequest("f-"+c.program, c.runtime, c.handler, makeZip(t, c.own...))
			r.Layers = withLayers(first, second)
			if made := create(t, s, r); len(made.Layers) != 2 || made.Layers[0].Arn != first || made.Layers[0].CodeSize == 0 {
				t.Errorf("layers %+v", made.Layers)
			}
			want(t, do(t, s, "f-"+c.program, json.RawMessage(`{}`)), "", c.want)
		})
	}
	t.Run("preloaded", func(t *testing.T) {
		if _, err := exec.LookPath("node"); err != nil {
			t.Skip("node is not in PATH")
		}
		r := createRequest("preloaded", "nodejs22.x", "index.handler", makeZip(t, js("index.js", `exports.handler = async () => globalThis.preloaded`)))
		r.Layers = withLayers(publishLayer(t, s, "preloaded", js("nodejs/node_modules/early/index.js", `globalThis.preloaded = "early"`)))
		r.Environment = &Environment{map[string]string{"NODE_OPTIONS": "--require early"}}
		create(t, s, r)
		want(t, do(t, s, "preloaded", json.RawMessage(`{}`)), "", `"early"`)
	})
	t.Run("wrapper", func(t *testing.T) {
		if _, err := exec.LookPath("node"); err != nil {
			t.Skip("node is not in PATH")
		}
		layer := publishLayer(t, s, "wrapper", entry{"wrap", 0o755, "#!/bin/sh\nWRAPPED=yes exec \"$@\"\n"}, js("plain", ""))
		for wrapper, answer := range map[string]string{
			"/opt/wrap": `"yes"`, "/opt/none": "AWS_LAMBDA_EXEC_WRAPPER: /opt/none: no such file or directory", "/opt/plain": "AWS_LAMBDA_EXEC_WRAPPER: /opt/plain: permission denied",
		} {
			name := "wrapped" + strings.ReplaceAll(wrapper, "/", "-")
			r := createRequest(name, "nodejs22.x", "index.handler", makeZip(t, js("index.js", `exports.handler = async () => process.env.WRAPPED`)))
			r.Layers, r.Environment = withLayers(layer), &Environment{map[string]string{"AWS_LAMBDA_EXEC_WRAPPER": wrapper}}
			create(t, s, r)
			if out := do(t, s, name, json.RawMessage(`{}`)); !strings.Contains(string(out.Payload), answer) {
				t.Errorf("%s: %s, want %s", wrapper, out.Payload, answer)
			}
		}
	})
	t.Run("bootstrap", func(t *testing.T) {
		bootstrap, err := goBootstrap()
		if err != nil {
			t.Fatal(err)
		}
		layer := publishLayer(t, s, "runtime", entry{"bootstrap", 0o755, string(bootstrap)})
		r := createRequest("f", "provided.al2023", "x", makeZip(t, js("data", "x")))
		r.Layers = withLayers(layer)
		create(t, s, r)
		want(t, do(t, s, "f", json.RawMessage(`{"do":"echo","text":"x"}`)), "", `"x"`)
	})
}

// Layers outlive a restart, functions keep the versions that they use, and numbers are never
// given twice.
func TestLayersAreKept(t *testing.T) {
	disk, dir := crashtest.New(), t.TempDir()
	var log bytes.Buffer
	start := func() (*Service, func()) {
		st, err := store.Open(store.Options{FS: disk.FS(), Dir: "data"})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(Options{Store: st, Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		return s, func() { closeBoth(t, s, st) }
	}
	s, end := start()
	one := publishLayer(t, s, "l", js("x", "1"))
	publishLayer(t, s, "l", js("x", "2"))
	const foreign = "arn:aws:lambda:eu-west-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python312-x86_64:9"
	r := createRequest("f", "provided.al2023", "x", makeZip(t, js("data", "x")))
	r.Layers, r.Publish = withLayers(one, foreign), true
	create(t, s, r)
	if !strings.Contains(log.String(), "add aws-lambda-powertools (pip) to the package") {
		t.Errorf("nothing is said of a layer that is not there:\n%s", &log)
	}
	for want, layers := range map[string][]string{
		"Layer version arn:aws:lambda:eu-west-1:123456789012:layer:l:9 does not exist.":                                                              {strings.TrimSuffix(one, "1") + "9"},
		"Two different versions of the same layer are not allowed to be referenced in the same function. " + one + " and " + one[:len(one)-1] + "2.": {one, one[:len(one)-1] + "2"},
		"Cannot reference more than 5 layers.": {"a", "b", "c", "d", "e", "f"},
	} {
		_, err := s.UpdateConfiguration(scope, "f", UpdateConfigurationRequest{Settings: Settings{Layers: withLayers(layers...)}})
		wantError(t, err, "InvalidParameterValueException", want)
	}
	used := s.lookup(scope, "f").version(1).def.Load().Layers[0].Hash
	if err := s.DeleteLayer(scope, "l", 1); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteLayer(scope, "l", 2); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateConfiguration(scope, "f", UpdateConfigurationRequest{Settings: Settings{Layers: withLayers()}}); err != nil {
		t.Fatal(err)
	}
	end()
	s, end = start()
	defer func() { end() }()
	if _, err := os.Stat(s.code.task(used)); err != nil {
		t.Errorf("the version of a function has lost its layer: %v", err)
	}
	c, err := s.Configuration(scope, "f", "1")
	if err != nil || len(c.Layers) != 2 || c.Layers[1].Arn != foreign {
		t.Errorf("layers %+v %v", c.Layers, err)
	}
	if three := publishLayer(t, s, "l", js("x", "3")); !strings.HasSuffix(three, ":l:3") {
		t.Errorf("published %s", three)
	}
	if err := s.Delete(scope, "f", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.code.task(used)); err == nil {
		t.Error("a layer that nothing uses is still there")
	}
}
