package function

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A function in .NET runs where the machine has that version and the package its client; else it is refused, with what to do. The stand-in
// for dotnet starts what it is to execute as a program.
func TestDotnet(t *testing.T) {
	s := open(t, Options{})
	bin := t.TempDir()
	const standIn = "#!/bin/sh\nif [ \"$1\" = --list-runtimes ]; then\necho 'Microsoft.AspNetCore.App 10.0.1 [/x]'\necho 'Microsoft.NETCore.App 6.0.36 [/x]'\necho 'Microsoft.NETCore.App 8.0.11 [/x]'\nexit\nfi\n" +
		"[ \"$1\" = exec ] || exit 9\nshift\nexec \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "dotnet"), []byte(standIn), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	built, err := goBootstrap()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, built)
	}
	client, program := js("Amazon.Lambda.RuntimeSupport.dll", ""), string(built)
	whole := makeZip(t, client, entry{"App.dll", 0o755, program})
	for _, c := range []struct {
		runtime, handler string
		code             []byte
		want             string // in the refusal
	}{
		{"dotnet8", "App::App.Function::Handler", whole, "names a method, which AWS's runtime for .NET calls, and that is in no package: make the project a program"},
		{"dotnet8", "../App", whole, "is no file of the package"},
		{"dotnet8", "Other", whole, "the package has no Other.dll"},
		{"dotnet8", "App", makeZip(t, entry{"App.dll", 0o755, program}), "the package has no Amazon.Lambda.RuntimeSupport.dll"},
		{"dotnet9", "App", whole, "dotnet9 needs .NET 9 on this machine, and " + filepath.Join(bin, "dotnet") + " has 6.0.36, 8.0.11: install it from https://dotnet.microsoft.com"},
	} {
		_, err := s.Create(scope, createRequest("f", c.runtime, c.handler, c.code))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: %v, want %s", c.runtime, c.handler, err, c.want)
		}
		if _, err := s.Get(scope, "f", ""); !IsNotFound(err) {
			t.Errorf("%s, %s: the function is there: %v", c.runtime, c.handler, err)
		}
	}
	for name, r := range map[string]CreateRequest{
		"assembly": createRequest("f", "dotnet8", "App", whole),
		"file":     createRequest("g", "dotnet8", "App.dll", whole),
		"one-file": createRequest("h", "dotnet8", "App", makeZip(t, entry{"App", 0o755, program})),
	} {
		create(t, s, r)
		patient(t, s, r.FunctionName)
		out, err := s.Invoke(t.Context(), scope, Invocation{Name: r.FunctionName, Payload: []byte(`{"do":"echo","text":"x"}`), Tail: true})
		if err != nil || string(out.Payload) != `"x"` {
			t.Errorf("%s: %s %v\n%s", name, out.Payload, err, out.LogTail)
		}
	}
}
