package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOperatorsPages runs the commands of docs/operators/*.md, in their order, as they stand
// there: against a server with a table, which is stopped before a command that takes its
// folder or its place.
func TestOperatorsPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/operators/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal("no pages", err)
	}
	dir, ran := t.TempDir(), 0
	for _, page := range pages {
		if strings.HasPrefix(filepath.Base(page), "standby") { // of two servers at once: TestDrill and TestDirectDrill
			continue
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		script := []string{
			"serve --data millstream-data",
			`aws CreateTable '{"TableName":"orders","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}'`,
			`aws PutItem '{"TableName":"orders","Item":{"id":{"S":"first"}}}'`,
		}
		running, commands := true, 0
		for line := range strings.Lines(string(text)) {
			command, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "    millstream ")
			if !ok {
				continue
			}
			commands++
			serve, isServe := strings.CutSuffix(command, " &")
			if running && (isServe || strings.Contains(command, "--data millstream-data")) {
				script = append(script, "end")
				running = false
			}
			if isServe {
				script = append(script, serve, "aws Scan '{\"TableName\":\"orders\"}'", "stdout first")
				running = true
				continue
			}
			if !running && !strings.Contains(command, "--data ") && !strings.HasPrefix(command, "backups ") { // it asks a server
				script = append(script, "serve --data millstream-data")
				running = true
			}
			script = append(script, "exec millstream "+command)
		}
		if commands == 0 { // alerts.md has rules, which test/conformance/alerts runs
			continue
		}
		ran++
		name := strings.TrimSuffix(filepath.Base(page), ".md") + ".txtar"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Join(script, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if ran < 2 {
		t.Errorf("only %d pages have commands", ran)
	}
	runScripts(t, dir)
}

// The unit of systemd starts the program as it stands there, with free ports and a folder of the test's in
// place of the machine's. Health and metrics answer at its second address.
func TestServiceUnitStarts(t *testing.T) {
	unit, err := os.ReadFile("../../docs/operators/millstream.service")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ExecStart=/usr/local/bin/millstream (.*)$`).FindSubmatch(unit)
	if line == nil {
		t.Fatal("the unit starts nothing")
	}
	args, ok := strings.CutPrefix(string(line[1]), "serve ")
	for from, to := range map[string]string{"/var/lib/millstream": "data", "127.0.0.1:8000": "127.0.0.1:0", "127.0.0.1:8081": "127.0.0.1:0"} {
		ok = ok && strings.Contains(args, from)
		args = strings.ReplaceAll(args, from, to)
	}
	if !ok {
		t.Fatalf("the test does not know what to make of %q", line[1])
	}
	dir := t.TempDir()
	script := "serve " + args + "\nexec cat serve.out\ncapture ADMIN 'own commands: (\\S+)'\nhttp GET $ADMIN/healthz\nstdout ok\nhttp GET $ADMIN/metrics\nstdout millstream_healthy\nstop\n"
	if err := os.WriteFile(filepath.Join(dir, "service.txtar"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	runScripts(t, dir)
}
