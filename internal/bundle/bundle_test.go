package bundle

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folder makes a folder of files and returns it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func build(t *testing.T, b *Builder, o Options) map[string]string {
	t.Helper()
	r, err := b.Build(o)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range r.Files {
		files[f.Name] = string(f.Body)
	}
	return files
}

func TestBuild(t *testing.T) {
	dir := folder(t, map[string]string{
		"src/a.ts":                        `import { n } from "./shared"; import big from "pkg"; export const handler = async (e: string): Promise<number> => n + big;`,
		"src/deep/b.ts":                   `import { S3Client } from "@aws-sdk/client-s3"; export const handler = () => S3Client;`,
		"src/shared.ts":                   `export const n: number = 40;`,
		"node_modules/pkg/index.js":       `module.exports = 2;`,
		"node_modules/@aws-sdk/x/main.js": ``,
	})
	b := &Builder{}
	defer b.Close()
	o := Options{Dir: dir, Entries: []string{"src/a.ts", "src/deep/b.ts"}, Node: "22"}
	got := build(t, b, o)
	var names []string
	for name := range got {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{"a.js", "a.js.map", "deep/b.js", "deep/b.js.map"}; !slices.Equal(names, want) {
		t.Fatalf("it made %q, want %q", names, want)
	}
	for _, entry := range o.Entries {
		if _, made := got[o.Module(entry)+".js"]; !made {
			t.Errorf("Module says that %s becomes %s, which was not made", entry, o.Module(entry))
		}
	}
	if code := got["a.js"]; !strings.Contains(code, "= 40") || !strings.Contains(code, "exports = 2") || strings.Contains(code, "Promise<") {
		t.Error("what it imports is not in the bundle, or types are:\n", code)
	}
	if code := got["deep/b.js"]; !strings.Contains(code, `require("@aws-sdk/client-s3")`) {
		t.Error("the SDK that is not installed is not left to the runtime:\n", code)
	}
	for name, source := range map[string]string{"a.js.map": "src/shared.ts", "deep/b.js.map": "src/deep/b.ts"} {
		if want := `"file://` + filepath.ToSlash(filepath.Join(dir, source)) + `"`; !strings.Contains(got[name], want) {
			t.Errorf("%s does not name %s: %s", name, want, got[name])
		}
	}
	if again := build(t, &Builder{}, o); again["a.js"] != got["a.js"] || again["a.js.map"] != got["a.js.map"] {
		t.Error("the same source gave other bytes")
	}

	// What has changed is built anew by the same builder.
	if err := os.WriteFile(filepath.Join(dir, "src/shared.ts"), []byte(`export const n = 41;`), 0o644); err != nil {
		t.Fatal(err)
	}
	if code := build(t, b, o)["a.js"]; !strings.Contains(code, "= 41") {
		t.Error("a change is not seen:\n", code)
	}
}

// Templates name the SDK in External because AWS's runtime has it. What of it is installed is bundled all the same.
func TestExternalSDK(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.ts": `import { s3 } from "@aws-sdk/client-s3"; import { sqs } from "@aws-sdk/client-sqs"; import own from "own"; export const handler = () => [s3, sqs, own];`,
		"node_modules/@aws-sdk/client-s3/index.js": `exports.s3 = "bundled";`,
		"node_modules/own/index.js":                `module.exports = "not bundled";`,
	})
	for _, external := range [][]string{{"@aws-sdk/*", "own"}, {"@aws-sdk/client-s3", "@aws-sdk/client-sqs", "own"}} {
		code := build(t, &Builder{}, Options{Dir: dir, Entries: []string{"a.ts"}, External: external})["a.js"]
		if !strings.Contains(code, `"bundled"`) || !strings.Contains(code, `require("@aws-sdk/client-sqs")`) || !strings.Contains(code, `require("own")`) {
			t.Errorf("with External %q the bundle is:\n%s", external, code)
		}
	}
}

// ES modules stay what they are, by the file's name or by package.json, and what is bundled into them may call require.
func TestModules(t *testing.T) {
	const text = `const n = await Promise.resolve(1); export const handler = () => n;`
	dir := folder(t, map[string]string{"a.mts": text, "sub/package.json": `{"type":"module"}`, "sub/b.ts": text, "c.ts": text})
	for entry, want := range map[string]string{"a.mts": "a.mjs", "sub/b.ts": "b.mjs"} {
		code := build(t, &Builder{}, Options{Dir: dir, Entries: []string{entry}})[want]
		if !strings.Contains(code, "createRequire") || !strings.Contains(code, "export {") {
			t.Errorf("%s becomes no module: %s", entry, code)
		}
	}
	if _, err := (&Builder{}).Build(Options{Dir: dir, Entries: []string{"c.ts"}}); err == nil || !strings.Contains(err.Error(), `Top-level await is currently not supported with the "cjs" output format`) {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	dir := folder(t, map[string]string{
		"a.ts": "export const x = 1;\nexport const handler = (: string) => x;\n",
		"b.ts": `import { x } from "missing"; export const handler = () => x;`,
	})
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Entries: []string{"a.ts"}}, filepath.Join(dir, "a.ts") + ":2:25: "},
		{Options{Entries: []string{"b.ts"}}, `Could not resolve "missing": is it installed? Run npm install in ` + dir},
		{Options{Entries: []string{"a.ts"}, Target: "es1999"}, "Target es1999: want a year, such as es2022, or a Node.js, such as node22"},
		{Options{Entries: []string{"a.ts"}, Format: "amd"}, "Format amd: want cjs or esm"},
		{Options{Entries: []string{"a.ts"}, Loader: map[string]string{".x": "y"}}, "Loader .x=y: esbuild has no loader of that name"},
	} {
		c.o.Dir = dir
		if _, err := (&Builder{}).Build(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v; want %s", c.o, err, c.want)
		}
	}
}

func TestModuleNames(t *testing.T) {
	for _, c := range []struct {
		entries []string
		base    string
		want    string
	}{
		{[]string{"src/a.ts"}, "", "a"},
		{[]string{"src/a.ts"}, ".", "src/a"},
		{[]string{"./src/a.ts", "src/b.ts"}, "", "a b"},
		{[]string{"src/a.ts", "src/deep/b.ts"}, "", "a deep/b"},
		{[]string{"one/a.ts", "two/b.ts"}, "", "one/a two/b"},
		{[]string{"onetwo/a.ts", "one/b.ts"}, "", "onetwo/a one/b"},
	} {
		o := Options{Entries: c.entries, Base: c.base}
		var got []string
		for _, e := range c.entries {
			got = append(got, o.Module(e))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q: %q, want %q", c.entries, s, c.want)
		}
	}
}
