package function

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A Java function without its client is refused when it is made, with what to install; so is one for a newer Java.
func TestJavaWithoutItsClient(t *testing.T) {
	s := open(t, Options{})
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("PATH", dir)
	t.Setenv("JAVA_HOME", "")
	if err := os.WriteFile(filepath.Join(dir, "java"), []byte("#!/bin/sh\necho 'openjdk version \"17.0.1\"' >&2\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for runtime, want := range map[string]string{
		"java21": "java21 needs Java 21 or newer on this machine, and " + dir + "/java is Java 17: install it from https://adoptium.net",
		"java17": "neither the package nor Maven's cache has it: add com.amazonaws:aws-lambda-java-runtime-interface-client to the package, or run mvn dependency:get",
	} {
		_, err := s.Create(scope, createRequest("f", runtime, "H::h", makeZip(t, js("H.class", ""))))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", runtime, err, want)
		}
	}
	if _, err := s.Create(scope, createRequest("f", "java11", "H::h", makeZip(t, js("lib/aws-lambda-java-runtime-interface-client-2.10.1.jar", "")))); err != nil {
		t.Errorf("with its client: %v", err)
	}
}
