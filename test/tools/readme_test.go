package tools

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// leftOut are the blocks of commands of the README that TestReadme does not run, by how they begin, and why.
var leftOut = map[string]string{
	"go run ./cmd/millstream demo": "it compiles the program; the step demo of .ci/run runs the same",
	"go test ./...":                "it is all tests, this one among them",
	"export AWS_ENDPOINT_URL=http://127.0.0.1:8000 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=us-east-1\nsam": "sam, cdk and osls need an installation; .ci/tools runs them",
	"./millstream serve --data /var/lib/millstream": "the folder belongs to root; docs/operators has a service unit that a test starts",
}

// TestReadme runs the README's commands against the built program, as a person would who has unpacked an archive: each
// section of its own, but for the two that are about one application.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, part := range regexp.MustCompile(`(?m)^## `).Split(string(text), -1) {
		title, body, _ := strings.Cut(part, "\n")
		sections[title] = body
	}
	ran := map[string]bool{}
	section := func(title string) string {
		ran[title] = true
		return block.ReplaceAllStringFunc(sections[title], func(b string) string {
			m := block.FindStringSubmatch(b)
			for begin := range leftOut {
				if m[1] == "sh" && strings.HasPrefix(m[3], begin) {
					return ""
				}
			}
			return b
		})
	}
	pages := []struct {
		name, text string
		needs      []string
	}{
		{"trigger", section("A first trigger, in a minute") + section("When something goes wrong, and after"), []string{"python3"}},
		{"application", section("Your application, from its template"), []string{"node"}},
		{"time", section("Time in tests"), nil},
	}
	for begin := range leftOut {
		if !strings.Contains(string(text), "\n"+begin) {
			t.Errorf("the README has no commands that begin with %q", begin)
		}
	}
	for title, body := range sections { // no commands are forgotten
		for _, m := range block.FindAllStringSubmatch(body, -1) {
			out := ran[title] || m[1] != "sh"
			for begin := range leftOut {
				out = out || strings.HasPrefix(m[3], begin)
			}
			if !out {
				t.Errorf("nothing runs what stands under %q:\n%s", title, m[3])
			}
		}
	}
	for _, page := range pages {
		t.Run(page.name, func(t *testing.T) {
			p := prepare(t, newProject, page.needs...)
			bin, err := millstream()
			if err == nil {
				err = os.Symlink(bin, filepath.Join(p.dir, "millstream"))
			}
			if err == nil {
				const example = "examples/typescript-orders"
				err = os.CopyFS(filepath.Join(p.dir, example), os.DirFS(filepath.Join("..", "..", example)))
			}
			template := filepath.Join(p.dir, "examples/typescript-orders/template.yaml")
			var text []byte
			if err == nil {
				text, err = os.ReadFile(template)
			}
			if err == nil { // a machine that is busy may take longer to start node
				err = os.WriteFile(template, bytes.Replace(text, []byte("Timeout: 10\n"), []byte("Timeout: 120\n"), 1), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			p.standInForCurl()
			p.page(page.text, func() { p.env = append(p.env, "MILLSTREAM_ENDPOINT="+p.endpoint) }) // of any port
		})
	}
}

// standInForCurl puts a program `curl` before what the machine has, by which `curl -s URL` needs node alone.
func (p *project) standInForCurl() {
	p.t.Helper()
	dir := p.t.TempDir()
	const script = "#!/usr/bin/env node\nfetch(process.argv[3]).then(async (r) => console.log(await r.text()));\n"
	if err := os.WriteFile(filepath.Join(dir, "curl"), []byte(script), 0o700); err != nil {
		p.t.Fatal(err)
	}
	for i, kv := range p.env { // the last one counts
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			p.env[i] = "PATH=" + dir + ":" + path
		}
	}
}
