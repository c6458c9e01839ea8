package template

import (
	"archive/zip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A zip file of the folder, in place of what is in the folder, is told before anything is touched.
func TestHandlersInZipFiles(t *testing.T) {
	for _, row := range []struct {
		handler, runtime string
		files            []string
		want             string
	}{
		{"index.handler", "nodejs22.x", []string{"app/index.js", "app/package.json"}, "has no index.js, but app/index.js: zip what is in the folder, not the folder"},
		{"src/app.handler", "python3.12", []string{"app/src/app.py"}, "has no src/app.py, but app/src/app.py: zip"},
		{"index.handler", "nodejs22.x", []string{"index.mjs", "app/index.js"}, ""},
		{"index.handler", "nodejs22.x", []string{"index/index.js", "app/index.js"}, ""},
		{"app.handler", "python3.12", []string{"lib/app.py", "app.cpython-312-x86_64-linux-gnu.so"}, ""},
		{"index.handler", "nodejs22.x", []string{"node_modules/index.js"}, ""}, // it may be in a layer
		{"index.handler", "nodejs22.x", nil, ""},                               // no zip file at all
	} {
		dir := t.TempDir()
		out, err := os.Create(filepath.Join(dir, "code.zip"))
		if err != nil {
			t.Fatal(err)
		}
		if row.files != nil {
			z := zip.NewWriter(out)
			for _, name := range row.files {
				if _, err := z.Create(name); err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		tpl, err := New("template.yaml", []byte("Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties: {CodeUri: code.zip, Runtime: "+row.runtime+", Handler: "+row.handler+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		tpl.Dir = dir
		_, err = tpl.Plan(Options{Stack: "app", Account: "123456789012", Region: "eu-west-1"})
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s of %v: %v, want %q", row.handler, row.files, err, row.want)
		}
	}
}
