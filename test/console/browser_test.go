package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// server is a Millstream with a folder of its own.
type server struct {
	endpoint, link string
	dir            string
	stop           func()
}

func start(t *testing.T, dir string, more ...string) *server {
	t.Helper()
	program := os.Getenv("MILLSTREAM_BIN")
	if program == "" {
		t.Skip("MILLSTREAM_BIN names no program")
	}
	cmd := exec.Command(program, append([]string{"serve", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--log-level", "error"}, more...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{dir: dir}
	s.stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait() // how it ends is not looked at here
	})
	t.Cleanup(s.stop)
	lines := bufio.NewScanner(out)
	for s.endpoint == "" || s.link == "" {
		if !lines.Scan() {
			t.Fatal("the server ended before it greeted")
		}
		if _, rest, ok := strings.Cut(lines.Text(), " serves "); ok {
			s.endpoint, _, _ = strings.Cut(rest, " ")
		}
		if _, link, ok := strings.Cut(lines.Text(), "Console, for one browser: "); ok {
			s.link = link
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return s
}

// ask calls an operation of DynamoDB.
func (s *server) ask(t *testing.T, operation string, in any) (out map[string]any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, s.endpoint+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s %v", operation, answer.StatusCode, text, err)
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// own asks Millstream's own protocol.
func (s *server) own(t *testing.T, method, path string, out any) {
	t.Helper()
	r, err := http.NewRequest(method, s.endpoint+"/_millstream/v1/"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Millstream", "1")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(out); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %v", path, answer.StatusCode, out, err)
	}
}

// settles waits until the triggers have done what there is to do.
func (s *server) settles(t *testing.T) {
	t.Helper()
	var answer struct{ Settled bool }
	if s.own(t, http.MethodPost, "settle", &answer); !answer.Settled {
		t.Fatal("the triggers have not come to rest")
	}
}

// trigger is the one of a function.
func (s *server) trigger(t *testing.T, function string) map[string]any {
	t.Helper()
	var answer struct{ Triggers []map[string]any }
	s.own(t, http.MethodGet, "triggers", &answer)
	for _, trigger := range answer.Triggers {
		if trigger["function"] == function {
			return trigger
		}
	}
	t.Fatalf("no trigger of %s among %v", function, answer.Triggers)
	return nil
}

type attributes map[string]any

func (s *server) put(t *testing.T, table string, item attributes) {
	t.Helper()
	s.ask(t, "PutItem", map[string]any{"TableName": table, "Item": item})
}

// deploy makes the application of testdata.
func (s *server) deploy(t *testing.T) { t.Helper(); s.deploys(t, "template.yaml") }

func (s *server) deploys(t *testing.T, template string, more ...string) {
	t.Helper()
	app, err := filepath.Abs("testdata/app")
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"deploy", filepath.Join(app, template), "--endpoint", s.endpoint}, more...)
	if out, err := exec.Command(os.Getenv("MILLSTREAM_BIN"), args...).CombinedOutput(); err != nil {
		t.Fatalf("deploy: %v\n%s", err, out)
	}
}

// page is a browser's tab.
type page struct {
	t       *testing.T
	ctx     context.Context
	pressed int // how often clicks was called
}

var chromium = sync.OnceValue(func() string {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	return ""
})

// limit is how long a page may take for one thing.
const limit = 30 * time.Second

func open(t *testing.T, link string) *page {
	t.Helper()
	if chromium() == "" {
		t.Skip("there is no Chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium()), chromedp.NoSandbox, chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if _, err := chromedp.Run(ctx, chromedp.Navigate(link)); err != nil { // the browser lives as long as this context
		t.Fatalf("start a browser: %v", err)
	}
	return &page{t: t, ctx: ctx}
}

// do does something in the page, and tells what the page shows when it cannot.
func do[T any](p *page, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, limit)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("%s: %v\nThe page shows:\n%s", what, err, p.text())
	}
	return v
}

// runs evaluates JavaScript, and waits for a promise.
func runs[T any](p *page, what, script string) T {
	p.t.Helper()
	return do(p, what, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

func (p *page) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`)) // empty when the page cannot tell
	return text
}

// sees waits until the page shows a text.
func (p *page) sees(texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		p.until(fmt.Sprintf("document.body.innerText.includes(%s)", quote(text)), "see "+text)
	}
}

// seesNot waits until it does not.
func (p *page) seesNot(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("!document.body.innerText.includes(%s)", quote(text)), "see no "+text)
}

func (p *page) until(condition, what string) {
	p.t.Helper()
	do(p, what, chromedp.Poll[bool](condition, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(limit)))
}

func quote(text string) string { b, _ := json.Marshal(text); return string(b) }

// button is an expression for the button, link or box that is called so.
func button(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('button, a, input[type=checkbox]')].find((e) => (e.getAttribute('aria-label') ?? e.innerText).trim() === %s && !e.disabled && e.offsetParent !== null)`, quote(name))
}

// clicks presses the button or follows the link of a name, as soon as it is there.
func (p *page) clicks(name string) {
	p.t.Helper()
	p.until("!!"+button(name), "find "+name)
	runs[chromedp.Void](p, "click "+name, button(name)+".click()")
	p.pressed++
}

// types fills the field of a label.
func (p *page) types(label, text string) {
	p.t.Helper()
	field := fmt.Sprintf(`document.querySelector('[aria-label=%s]')`, quote(label))
	p.until("!!"+field, "find the field "+label)
	runs[chromedp.Void](p, "type into "+label, fmt.Sprintf(
		`(() => { const e = %s; e.value = %s; e.dispatchEvent(new Event('input', { bubbles: true })); e.dispatchEvent(new Event('change', { bubbles: true })); })()`, field, quote(text)))
}

// fieldHas waits until the field of a label has a text.
func (p *page) fieldHas(label, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf(`document.querySelector('[aria-label=%s]')?.value.includes(%s)`, quote(label), quote(text)), "see "+text+" in the field "+label)
}

// rewrites replaces a text in the field of a label.
func (p *page) rewrites(label, old, text string) {
	p.t.Helper()
	p.fieldHas(label, old)
	p.types(label, strings.Replace(runs[string](p, "read the field "+label, fmt.Sprintf(`document.querySelector('[aria-label=%s]').value`, quote(label))), old, text, 1))
}

func (p *page) goes(hash string) {
	p.t.Helper()
	runs[chromedp.Void](p, "go to "+hash, "void (location.hash = "+quote(hash)+")")
}

// looks gives the page a width and a theme, and waits until it is drawn.
func (p *page) looks(width int64, theme string) {
	p.t.Helper()
	do(p, "change the width", chromedp.EmulateViewport(width, 900))
	do(p, "change the theme", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
		return err
	}))
	runs[chromedp.Void](p, "draw", `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))`)
}

// shown keeps a picture of the page at two widths in both themes, where CONSOLE_SHOTS names a folder, and asks axe-core, where AXE names its
// file, what people with a screen reader, a keyboard or weak eyes would miss.
func (p *page) shown(name string) {
	p.t.Helper()
	dir, axe := os.Getenv("CONSOLE_SHOTS"), os.Getenv("AXE")
	if dir == "" && axe == "" {
		return
	}
	for _, width := range []int64{390, 1440} {
		for _, theme := range []string{"dark", "light"} {
			p.looks(width, theme)
			if over := runs[int](p, "measure", `document.documentElement.scrollWidth - innerWidth`); over > 0 {
				p.t.Errorf("%s is %d pixels wider than %d", name, over, width)
			}
			if dir != "" {
				picture := do(p, "take a picture of "+name, chromedp.FullScreenshot(100))
				if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, theme)), picture, 0o644)); err != nil {
					p.t.Fatal(err)
				}
			}
			if axe != "" {
				p.asksAxe(axe, fmt.Sprintf("%s, %d, %s", name, width, theme))
			}
		}
	}
}

func (p *page) asksAxe(file, name string) {
	p.t.Helper()
	script, err := os.ReadFile(file)
	if err != nil {
		p.t.Fatal(err)
	}
	runs[chromedp.Void](p, "load axe-core", string(script)+";void 0")
	found := runs[[]struct {
		ID, Help string
		Nodes    []string
	}](p, "ask axe-core of "+name, `axe.run(document).then((r) => r.violations.map((v) => ({ ID: v.id, Help: v.help, Nodes: v.nodes.map((n) => n.html) })))`)
	for _, v := range found {
		p.t.Errorf("%s: %s: %s (%.200s, and %d more)", name, v.ID, v.Help, v.Nodes[0], len(v.Nodes)-1)
	}
}
