package function

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A Ruby function without its client is refused when it is made, with what to install; the package may bring it.
func TestRubyWithoutItsClient(t *testing.T) {
	s := open(t, Options{})
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if err := os.WriteFile(filepath.Join(dir, "ruby"), []byte("#!/bin/sh\necho "+dir+"/ruby\necho 3.4.1\necho 3.4.0\necho "+dir+"/gems\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := s.Create(scope, createRequest("f", "ruby3.4", "app.handler", makeZip(t, js("app.rb", ""))))
	if want := "neither the package nor the gems of this machine have it: add gem 'aws_lambda_ric' to the Gemfile"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	const client = "gems/aws_lambda_ric-3.1.3/lib/aws_lambda_ric.rb"
	if _, err := s.Create(scope, createRequest("f", "ruby3.4", "app.handler", makeZip(t, js("vendor/bundle/ruby/3.4.0/"+client, "")))); err != nil {
		t.Errorf("with its client: %v", err)
	}
	// What would take the client away, or need it, is refused too, and changes nothing.
	before, err := s.Configuration(scope, "f", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.UpdateCode(scope, "f", UpdateCodeRequest{CodeRequest: CodeRequest{ZipFile: makeZip(t, js("app.rb", ""))}})
	if after, e := s.Configuration(scope, "f", ""); err == nil || !strings.Contains(err.Error(), "gem install") || e != nil || after.RevisionID != before.RevisionID {
		t.Errorf("new code without the client: %v; then %+v, %v", err, after, e)
	}
	create(t, s, createRequest("h", "provided.al2023", "bootstrap", makeZip(t, js("bootstrap", "#!/bin/sh\n"))))
	_, err = s.UpdateConfiguration(scope, "h", UpdateConfigurationRequest{Settings: Settings{Runtime: ptr("ruby3.4")}})
	if after, e := s.Configuration(scope, "h", ""); err == nil || !strings.Contains(err.Error(), "gem install") || e != nil || after.Runtime != "provided.al2023" {
		t.Errorf("the runtime without the client: %v; then %+v, %v", err, after, e)
	}
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir("gems/"+client)), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Create(scope, createRequest("g", "ruby3.4", "app.handler", makeZip(t, js("app.rb", "")))); err != nil {
		t.Errorf("with the client on the machine: %v", err)
	}
}
