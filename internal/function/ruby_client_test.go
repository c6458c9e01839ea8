//go:build rubyclient

package function

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// This test is built with a tag, since it needs Ruby; `.ci/tools Ruby` runs it. MILLSTREAM_RUBY_CLIENT may name the folder lib of
// AWS's client, the gem aws_lambda_ric; without it a stand-in is taken.

// Functions in Ruby run on a client that the package brings, with gems of the package and of layers.
func TestRuby(t *testing.T) {
	out, err := exec.Command("ruby", "-e", "print RbConfig::CONFIG['ruby_version']").Output()
	if err != nil {
		t.Fatal(err)
	}
	gems := "vendor/bundle/ruby/" + string(out) + "/"
	s := open(t, Options{})
	layer, err := s.PublishLayer(scope, "more", LayerRequest{Content: CodeRequest{ZipFile: makeZip(t, js("ruby/lib/layered.rb", "LAYERED = 'layer'\n"))}})
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	files := []entry{
		js("app.rb", read("testdata/ruby/app.rb")), js("broken.rb", "raise 'early'\n"),
		js(gems+"gems/greeting-1.0.0/lib/greeting.rb", "module Greeting\n  def self.of(name) = \"hello #{name}\"\nend\n"),
		js(gems+"specifications/greeting-1.0.0.gemspec", "Gem::Specification.new { |s| s.name = 'greeting'; s.version = '1.0.0'; s.summary = s.name; s.authors = ['x'] }\n"),
	}
	client := cmp.Or(os.Getenv("MILLSTREAM_RUBY_CLIENT"), "testdata/ruby")
	err = filepath.Walk(client, func(path string, st os.FileInfo, err error) error {
		if err != nil || st.IsDir() {
			return err
		}
		name, err := filepath.Rel(client, path)
		files = append(files, js(gems+"gems/aws_lambda_ric-3.1.3/lib/"+filepath.ToSlash(name), read(path)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r := createRequest("f", "ruby3.4", "app.handler", makeZip(t, files...))
	r.Layers = []byte(`["` + layer.LayerVersionArn + `"]`)
	create(t, s, r)
	for event, want := range map[string]string{
		`{"name":"r"}`: `{"greeting":"hello r","layered":"layer","gem":true,"handler":"app.handler"}`,
		`{"fail":1}`:   `"errorMessage":"not this"`,
	} {
		out, err := s.Invoke(t.Context(), scope, Invocation{Name: "f", Payload: []byte(event), Tail: true})
		if err != nil || !strings.Contains(string(out.Payload), want) || (out.FunctionError != "") != strings.Contains(event, "fail") {
			t.Errorf("%s: %+v %s %v", event, out, out.Payload, err)
		}
		if event == `{"name":"r"}` && !strings.Contains(string(out.LogTail), "seen r\n") {
			t.Errorf("logged %s", out.LogTail)
		}
	}
	r = createRequest("broken", "ruby3.4", "broken.handler", makeZip(t, files...))
	create(t, s, r)
	broken, err := s.Invoke(t.Context(), scope, Invocation{Name: "broken", Payload: []byte(`{}`)})
	if err != nil || broken.FunctionError == "" || !strings.Contains(string(broken.Payload), `"errorMessage":"early"`) {
		t.Errorf("%+v %s %v", broken, broken.Payload, err)
	}
}
