//go:build javaclient

package function

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// These tests are built with a tag, since they need Java and jars from Maven; `.ci/tools java` runs them.

// javaJars names a folder that holds AWS's client for Java and what it needs.
const javaJars = "MILLSTREAM_JAVA_CLIENT"

// Functions in Java, on AWS's own client: what a caller sees of rows 120 to 125 of the table of handlers.
func TestJavaClientRows(t *testing.T) {
	jars := os.Getenv(javaJars)
	if jars == "" {
		t.Fatal(javaJars + " does not name AWS's client for Java")
	}
	t.Parallel()
	s := open(t, Options{})
	classes := t.TempDir()
	if b, err := exec.Command("javac", "--release", "17", "-cp", filepath.Join(jars, "*"), "-d", classes, "testdata/java/Cases.java").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	jar := zipOf(t, classes, "")
	whole := zipOf(t, classes, jars)
	for _, c := range []struct{ row, name, want, log string }{
		{"120", "Cases::object", `{"ok":1}`, ""},
		{"120", "Cases::nothing", `null`, ""},
		{"120", "Cases::empty", `null`, ""},
		{"120", "Cases::stream", "\x00raw", ""},
		{"120", "Cases::thread", `"done"`, "in a thread"},
		{"120", "Cases$Interface", `"interface"`, ""},
		{"121", "Cases::runtime", `{"errorMessage":"boom","errorType":"java.lang.RuntimeException","stackTrace":["Cases.runtime(Cases.java:21)",…`, "boom: java.lang.RuntimeException"},
		{"121", "Cases::checked", `{"errorMessage":"io","errorType":"java.io.IOException","stackTrace":["Cases.checked(…`, ""},
		{"121", "Cases::error", `{"errorMessage":"error","errorType":"java.lang.AssertionError","stackTrace":["Cases.error(…`, ""},
		{"121", "Cases::npe", `{"errorMessage":"Cannot invoke \"Object.toString()\" …","errorType":"java.lang.NullPointerException","stackTrace":[…`, ""},
		{"122", "Cases::overflow", `{"errorMessage":"java.lang.StackOverflowError","errorType":"java.lang.StackOverflowError","stackTrace":[…`, ""},
		{"122", "Cases::memory", `{"errorMessage":"Java heap space","errorType":"java.lang.OutOfMemoryError","stackTrace":[…`, ""},
		{"123", "Cases::missing", `{"errorMessage":"No public method named missing with appropriate method signature found on class Cases"}`, ""},
		{"123", "Nope::handle", `{"errorMessage":"Class not found: Nope","errorType":"java.lang.ClassNotFoundException"…`, ""},
		{"123", "Cases", `{"errorMessage":"Class does not implement an appropriate handler interface: Cases"}`, ""},
		{"123", "Cases$Static::handle", `{"errorMessage":"Error loading class Cases$Static","errorType":"java.lang.ExceptionInInitializerError"}`, "INIT_REPORT"},
		{"123", "Cases::exit", `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: … Error: Runtime exited with error: exit status 3"}`, ""},
		{"124", "Cases::number", `{"errorMessage":"An error occurred during JSON parsing","errorType":"java.lang.RuntimeException","stackTrace":[…`, ""},
		{"124", "Cases::loop", `{"errorMessage":"An error occurred during JSON serialization of response","errorType":"java.lang.RuntimeException","stackTrace":[…`, ""},
		{"125", "Cases::large", `{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}`, ""},
		{"125", "Cases::logs", `"36 256"`, "seen"},
		{"layer", "Cases::layered", `"layered"`, ""},
	} {
		t.Run(c.row+"-"+c.name, func(t *testing.T) {
			name := "java-" + regexp.MustCompile(`[^A-Za-z]`).ReplaceAllString(c.name, "-")
			code := jar // and the client from Maven's cache
			if c.row == "120" {
				code = whole
			}
			r := createRequest(name, "java17", c.name, code)
			r.MemorySize, r.Timeout = ptr(256), ptr(60)
			if c.row == "layer" {
				dir := t.TempDir()
				if b, err := exec.Command("javac", "--release", "17", "-d", dir, "testdata/java/Layered.java").CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, b)
				}
				r.Layers = withLayers(publishLayer(t, s, "java", entry{"java/lib/layered.jar", 0o644, string(zipOf(t, dir, ""))}))
			}
			create(t, s, r)
			want := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(c.want), "…", "(?s:.*)") + "$")
			out, err := s.Invoke(t.Context(), scope, Invocation{Name: name, Payload: []byte(`{"k":"v"}`), Tail: true})
			if err != nil || !want.MatchString(string(out.Payload)) {
				t.Errorf("%v %q %s\nwant %s\nlog:\n%s", err, out.FunctionError, out.Payload, c.want, out.LogTail)
			}
			if !strings.Contains(string(out.LogTail), c.log) {
				t.Errorf("the log lacks %q:\n%s", c.log, out.LogTail)
			}
			if err := s.Delete(scope, name, ""); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// zipOf is a zip of a folder's files, with the files of another below lib unless it is empty.
func zipOf(t *testing.T, folder, lib string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if err := w.AddFS(os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	if lib != "" {
		err := fs.WalkDir(os.DirFS(lib), ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := os.ReadFile(filepath.Join(lib, path))
			if err != nil {
				return err
			}
			f, err := w.Create("lib/" + path)
			if err == nil {
				_, err = f.Write(body)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
