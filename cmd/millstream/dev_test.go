package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// watchedOutput is an output that can be waited on.
type watchedOutput struct {
	mu    sync.Mutex
	text  bytes.Buffer
	moved chan struct{}
}

func (o *watchedOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.moved != nil {
		close(o.moved)
		o.moved = nil
	}
	return o.text.Write(p)
}

// await waits until the output, from a place on, matches, and returns the match and the place behind it.
func (o *watchedOutput) await(t *testing.T, from int, pattern string) (match []string, next int) {
	t.Helper()
	limit := time.NewTimer(90 * time.Second)
	defer limit.Stop()
	re := regexp.MustCompile(pattern)
	for {
		o.mu.Lock()
		text := o.text.String()[from:]
		if o.moved == nil {
			o.moved = make(chan struct{})
		}
		moved := o.moved
		o.mu.Unlock()
		if at := re.FindStringSubmatchIndex(text); at != nil {
			return re.FindStringSubmatch(text), from + at[1]
		}
		select {
		case <-moved:
		case <-limit.C:
			t.Fatalf("%s is not printed in:\n%s", pattern, text)
		}
	}
}

// TestDev: an application is brought up, shown, and reloaded as its files are saved; a syntax error is shown and loses no
// record.
func TestDev(t *testing.T) {
	for _, tool := range []string{"node", "python3"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/dev")); err != nil {
		t.Fatal(err)
	}
	edit := func(name, from, to string) {
		t.Helper()
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), from) {
			t.Fatalf("%s: %v, %s", name, err, text)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out := &watchedOutput{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	root := newRoot()
	root.SetArgs([]string{"dev", filepath.Join(dir, "template.yaml"), "--listen", "127.0.0.1:0", "--stack", "shop"})
	root.SetOut(out)
	root.SetErr(out)
	go func() { ended <- root.ExecuteContext(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("dev ended with %v", err)
		}
	})
	m, at := out.await(t, 0, `Routes at (http://\S+)/\n`)
	_, at = out.await(t, at, `Watching`)
	post := func(id string) string {
		t.Helper()
		res, err := http.Post(m[1]+"/orders/"+id, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}

	if got := post("o-1"); got != "one" {
		t.Errorf("answered %s", got)
	}
	// The request, the call that it caused, its line and its write; the trigger's call is below it, or, when the tree has
	// been printed by then, by itself.
	_, at = out.await(t, at, `POST /\w+/orders/o-1 -> 201 .*\n└─ shop-Create  ok  .*\n   │  \| .*placing o-1\n   └─ PutItem shop-Orders {"id":{"S":"o-1"}}  .*\n`)
	_, at = out.await(t, at, `shop-Confirm <- INSERT shop-Orders {"id":{"S":"o-1"}}  ok  .*\n *\| confirming o-1\n`)

	edit("create/app.js", "'one'", "'two'")
	saved := time.Now()
	_, at = out.await(t, at, `changed: create/app.js\n  updated +Create .*\(code\)\n`)
	_, at = out.await(t, at, `In effect`)
	t.Logf("a saved change was in effect after %d ms", time.Since(saved).Milliseconds())
	if got := post("o-2"); got != "two" {
		t.Errorf("after the change: %s", got)
	}

	// A syntax error is shown, and the version before goes on.
	edit("confirm/app.py", "context):", "context)")
	_, at = out.await(t, at, `changed: confirm/app.py\nNot deployed, what was there before goes on:\n.*app.py:1: `)
	post("o-3")
	_, at = out.await(t, at, `shop-Confirm <- INSERT shop-Orders {"id":{"S":"o-3"}}  ok  `)
	// Another error is shown where it is, and the record waits for the code to be mended.
	edit("confirm/app.py", "context)", "context):\n    nothing()")
	_, at = out.await(t, at, `updated +Confirm .*\(code\)\n`)
	_, at = out.await(t, at, `In effect`)
	post("o-4")
	_, at = out.await(t, at, `shop-Confirm <- INSERT shop-Orders {"id":{"S":"o-4"}}  FAILED`)
	_, at = out.await(t, at, `! +at .*"`+regexp.QuoteMeta(filepath.Join(dir, "confirm", "app.py"))+`", line 2`)
	edit("template.yaml", "Runtime: python3.12", "Runtime: cobol")
	_, at = out.await(t, at, `Not deployed, what was there before goes on:\n.*\n?.*cobol`)
	edit("template.yaml", "Runtime: cobol", "Runtime: python3.12")
	_, at = out.await(t, at, `In effect`)
	edit("confirm/app.py", "    nothing()\n", "")
	_, _ = out.await(t, at, `shop-Confirm <- INSERT shop-Orders {"id":{"S":"o-4"}}  ok  .*\n *\| confirming o-4\n`)
}
