package examples

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Webhooks are acknowledged at once, however often they are delivered, and each job is run once.
func TestCIWebhook(t *testing.T) {
	t.Parallel()
	g := newGitHub(t)
	if status := g.deliver("evil", "another secret"); status != 401 {
		t.Errorf("a wrong signature: %d", status)
	}
	g.open(0, 30)
	g.awaitPassed(30)
	g.settle()
	for commit, n := range g.runs() {
		if n != 1 || commit == "evil" {
			t.Errorf("the job of %s was run %d times", commit, n)
		}
	}
	t.Logf("acknowledged: %s", g.took)
}

// The server is killed while jobs run: what it met is run again, and nothing else.
func TestCIWebhookKilled(t *testing.T) {
	t.Parallel()
	g := newGitHub(t)
	g.open(0, 20)
	await(t, "some jobs have passed", func() bool { return g.passed() >= 4 })
	g.kill()
	g.start()
	g.open(10, 30) // ten of them once more
	g.awaitPassed(30)
	again := 0
	for _, n := range g.runs() {
		again += n - 1
	}
	if again > 4 { // ParallelizationFactor
		t.Errorf("%d jobs were run again; four can have been under way", again)
	}
	t.Logf("%d jobs were met by the kill and run again", again)
}

// gitHub is a stand-in for GitHub, and the application.
type gitHub struct {
	*app
	mu   sync.Mutex // guards what follows
	took times
	ran  map[string]int // how often the job of each commit was run
}

func newGitHub(t *testing.T) *gitHub {
	if _, err := exec.LookPath("bash"); err != nil {
		absent(t, "the job takes bash")
	}
	env := nodeModules(t, "@aws-sdk/client-dynamodb")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gitHub{ran: map[string]int{}}
	var counting sync.WaitGroup
	counting.Go(func() { g.count(ln) })
	t.Cleanup(func() {
		_ = ln.Close()
		counting.Wait()
	})
	// A job tells the test that it runs, and goes on when it was counted: a file would be out of its sight in a sandbox.
	job := fmt.Sprintf(`bash -c "exec 3<>/dev/tcp/127.0.0.1/%d; echo $COMMIT >&3; read -r _ <&3"; sleep 0.05; echo ok`, ln.Addr().(*net.TCPAddr).Port)
	g.app = serve(t, "ci-webhook", "template.yaml", []string{env}, "Job="+job)
	return g
}

// count counts the jobs that tell that they run.
func (g *gitHub) count(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return // closed
		}
		if commit, err := bufio.NewReader(c).ReadString('\n'); err == nil {
			g.mu.Lock()
			g.ran[strings.TrimSpace(commit)]++
			g.mu.Unlock()
			_, _ = io.WriteString(c, "counted\n") // it may have been killed
		}
		_ = c.Close()
	}
}

// deliver sends the webhook of a commit.
func (g *gitHub) deliver(commit, secret string) (status int) {
	g.t.Helper()
	body := []byte(`{"action": "opened", "pull_request": {"head": {"sha": "` + commit + `"}}, "repository": {"full_name": "ada/engine"}}`)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodPost, g.url+"/github", bytes.NewReader(body))
	if err != nil {
		g.t.Error(err)
		return 0
	}
	req.Header.Set("X-GitHub-Event", "pull_request")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	start := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Error(err)
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.took = append(g.took, time.Since(start))
	return resp.StatusCode
}

// open delivers the webhooks of commits, each three times at once.
func (g *gitHub) open(from, to int) {
	g.t.Helper()
	for n := from; n < to; n++ {
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if status := g.deliver(fmt.Sprint("commit-", n), "it is a secret"); status != 202 && status != 200 {
					g.t.Errorf("commit-%d: %d", n, status)
				}
			})
		}
		all.Wait()
	}
}

func (g *gitHub) passed() (n int) {
	for _, job := range g.scan("Jobs") {
		if text(job["status"]) == "passed" {
			n++
		}
	}
	return n
}

func (g *gitHub) awaitPassed(n int) {
	g.t.Helper()
	await(g.t, fmt.Sprintf("%d jobs have passed", n), func() bool { return g.passed() == n })
	var job struct{ Status, Output string }
	status, body, err := g.try(http.MethodGet, "/jobs/commit-0", nil)
	if err == nil {
		err = json.Unmarshal(body, &job)
	}
	if err != nil || status != 200 || job.Status != "passed" || job.Output != "ok\n" {
		g.t.Errorf("the job of commit-0 is shown as %d %s, %v", status, body, err)
	}
}

// runs is how often the job of each commit was run.
func (g *gitHub) runs() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.ran)
}
