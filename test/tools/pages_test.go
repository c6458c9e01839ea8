package tools

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// block is a fenced block of a page: its language, what stands behind that, and its text.
var block = regexp.MustCompile("(?ms)^```(\\w+) ?(\\S*)\n(.*?)^```$")

// page runs a page as a person would who reads it, and returns what its commands print. Its
// blocks are
//
//	```sh              commands; all of a page are parts of one script
//	```sh server       a server, and `millstream dev`, which run beside the commands
//	```sh dev
//	```text seen       lines that the commands above have printed, in this order
//	```text dev        lines that `millstream dev` prints, in this order; they are waited for
//	```LANGUAGE FILE   a file, as it is saved
//
// What is printed may have other times and durations than the page. Where the page has three
// dots, anything may stand, and where it has spaces any number of them. served is called when the server serves.
func (p *project) page(text string, served func()) (out string) {
	p.t.Helper()
	own, dev, routes := freeAddr(p.t), freeAddr(p.t), freeAddr(p.t)
	text = strings.NewReplacer("127.0.0.1:8000", own, "127.0.0.1:8001", routes, "127.0.0.1:4566", own, "127.0.0.1:9000", dev+" --http-listen "+freeAddr(p.t)).Replace(text)
	p.env = append(p.env, "MILLSTREAM_LISTEN="+own, "MILLSTREAM_HTTP_LISTEN="+routes)
	p.env = slices.DeleteFunc(p.env, func(s string) bool { return strings.HasPrefix(s, "AWS_") })
	variables := filepath.Join(p.t.TempDir(), "variables")
	if err := os.WriteFile(variables, nil, 0o600); err != nil {
		p.t.Fatal(err)
	}
	ran, looked, watched := 0, 0, 0
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		language, name, body := m[1], m[2], m[3]
		switch {
		case language == "text" && name == "seen":
			at := regexp.MustCompile(printed(body)).FindStringIndex(out[looked:])
			if at == nil {
				p.t.Fatalf("the page shows\n%sThat is not in what its commands print:\n%s", body, out[looked:])
			}
			looked += at[1]
		case language == "text" && name == "dev":
			watched = p.process.await(watched, printed(body))
		case language != "sh":
			if name != "" {
				file := filepath.Join(p.dir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					p.t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
					p.t.Fatal(err)
				}
			}
		case name == "server":
			p.endpoint = "http://" + own
			server := p.start("sh", "-c", "exec "+body)
			p.serving(server)
			if strings.Contains(body, "--template") {
				server.await(0, `Deployed `)
			}
			served()
		case name == "dev":
			if !strings.Contains(body, "--listen") { // dev takes no variables
				body = strings.Replace(body, "millstream dev", "millstream dev --listen "+own+" --http-listen "+routes, 1)
			}
			p.process = p.start("sh", "-c", "exec "+body)
			watched = p.process.await(0, `In effect after`)
		case name != "":
			p.t.Fatalf("a block of commands is called %q", name)
		default:
			ran++
			out += p.run("set -ea\n. " + variables + "\ncd \"$PWD\"\n" + body + "export -p >" + variables)
		}
	}
	if ran == 0 {
		p.t.Fatal("the page has no commands")
	}
	return out
}

var (
	took = regexp.MustCompile(`[\d.]+( ?)(µs|ms|s)\b`)
	when = regexp.MustCompile(`\d\d:\d\d:\d\d(\.\d+)?`)
	tree = regexp.MustCompile(`^(\d\d:\d\d:\d\d\.\d+  )?[ │├└─|]*`) // a call is shown below its cause, or by itself when that has been shown
	gap  = regexp.MustCompile(`[ \t]+`)
)

// printed is the pattern of what a page shows as printed.
func printed(lines string) string {
	var all []string
	for line := range strings.Lines(lines) {
		if line = strings.TrimSpace(tree.ReplaceAllString(line, "")); line == "" {
			continue
		}
		line = strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `.*`)
		line = took.ReplaceAllString(strings.ReplaceAll(line, `\.`, "."), `[\d.]+$1(?:µs|ms|s)`)
		line = when.ReplaceAllString(line, `\d\d:\d\d:\d\d(?:\.\d+)?`)
		all = append(all, gap.ReplaceAllString(line, `[ \t]+`))
	}
	return strings.Join(all, `[\s\S]*?`)
}
