//go:build linux && quiet

// Built with a tag, for a machine that does nothing else: `.ci/long "200 idle functions"` runs it.

package hot_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestIdleFunctions makes 200 functions, half in Python and half in Node.js, calls each once, and then leaves them alone: neither the
// server nor their processes use the processor, and each function costs the server no more memory than docs/runtimes.md says.
func TestIdleFunctions(t *testing.T) {
	const (
		functions = 200
		look      = 20 * time.Second
		perMade   = 24 << 10    // bytes of the server for a function that is made
		perWarm   = 160 << 10   // and for one that has a process
		settle    = time.Minute // Node.js tidies up for some seconds after its start, with 20 ms of a processor or so
		share     = 0.01        // of a processor; 100 processes of Node.js now and then use some 0.3% together by themselves
	)
	s := serveProcess(t)
	resting := s.share(look)
	empty := s.memory(s.pid)
	for i := range functions {
		s.call("POST", "/2015-03-31/functions", idleFunction(t, i))
	}
	made := s.memory(s.pid)
	var calls sync.WaitGroup
	for lane := range 4 {
		calls.Go(func() {
			for i := lane; i < functions; i += 4 {
				s.call("POST", fmt.Sprintf("/2015-03-31/functions/idle-%d/invocations", i), map[string]string{})
			}
		})
	}
	calls.Wait()
	time.Sleep(settle)
	warm := s.memory(s.pid)
	shared := map[string][]int{}
	for _, pid := range s.children() {
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil {
			t.Fatal(err)
		}
		program = filepath.Base(program)
		shared[program] = append(shared[program], s.memory(pid))
	}
	with := s.share(look)

	processes := 0
	for program, sizes := range shared {
		sum := 0
		for _, n := range sizes {
			sum += n
		}
		processes += len(sizes)
		t.Logf("%d processes of %s: %d KB each", len(sizes), program, sum/len(sizes)>>10)
	}
	t.Logf("the server: %d KB empty, %.1f KB more for each function, %.1f KB more with a process; %.2f%% of a processor, %.2f%% before",
		empty>>10, float64(made-empty)/functions/1024, float64(warm-empty)/functions/1024, 100*with, 100*resting)
	if processes < functions {
		t.Errorf("%d processes of %d functions", processes, functions)
	}
	if n := (made - empty) / functions; n > perMade {
		t.Errorf("a function that is made costs the server %d bytes, of %d", n, perMade)
	}
	if n := (warm - empty) / functions; n > perWarm {
		t.Errorf("a function with a process costs the server %d bytes, of %d", n, perWarm)
	}
	if with-resting > share {
		t.Errorf("the server and the processes of idle functions use %.2f%% of a processor, without them it is %.2f%%", 100*with, 100*resting)
	}
}

// idleFunction is the request that makes one.
func idleFunction(t *testing.T, n int) any {
	name, text, runtime := "index.py", "def handler(event, context):\n    return event\n", "python3.13"
	if n%2 == 0 {
		name, text, runtime = "index.js", "exports.handler = async (event) => event\n", "nodejs22.x"
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create(name)
	if err == nil {
		_, err = io.WriteString(f, text)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"FunctionName": fmt.Sprint("idle-", n), "Runtime": runtime, "Handler": "index.handler", "Role": "arn:aws:iam::000000000000:role/r",
		"Code": map[string][]byte{"ZipFile": b.Bytes()},
	}
}

// server is a program of its own, so that what it uses is its own.
type server struct {
	t        *testing.T
	pid      int
	endpoint string
}

func serveProcess(t *testing.T) *server {
	t.Helper()
	bin := os.Getenv("MILLSTREAM_BIN")
	if bin == "" {
		bin = filepath.Join(t.TempDir(), "millstream")
		if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/millstream").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	l.Close()
	cmd := exec.Command(bin, "serve", "--data", t.TempDir(), "--listen", listen)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
	s := &server{t, cmd.Process.Pid, "http://" + listen}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		r, err := http.Get(s.endpoint + "/2015-03-31/functions/")
		if err == nil {
			r.Body.Close()
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not serve: %v", err)
		}
	}
}

func (s *server) call(method, path string, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Error(err)
		return
	}
	r, err := http.NewRequest(method, s.endpoint+path, bytes.NewReader(text))
	if err != nil {
		s.t.Error(err)
		return
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer answer.Body.Close()
	if got, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode >= 300 || answer.Header.Get("X-Amz-Function-Error") != "" {
		s.t.Errorf("%s: %s %s %v", path, answer.Status, got, err)
	}
}

// memory is what a process has in memory, in bytes; what it shares with others counts in part.
func (s *server) memory(pid int) int {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); fields[0] == "Pss:" {
			kb, err := strconv.Atoi(fields[1])
			if err != nil {
				s.t.Fatal(err)
			}
			return kb << 10
		}
	}
	s.t.Fatal("no Pss in smaps_rollup")
	return 0
}

// stat is a process's line in /proc, from its state on.
func stat(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
}

// children are the server's.
func (s *server) children() (pids []int) {
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range all {
		pid, err := strconv.Atoi(filepath.Base(p))
		if err != nil {
			s.t.Fatal(err)
		}
		if f := stat(pid); f != nil && f[1] == strconv.Itoa(s.pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// share is how much of a processor the server and its children use for some time.
func (s *server) share(d time.Duration) float64 {
	s.t.Helper()
	used := func() (ns int) {
		for _, pid := range append(s.children(), s.pid) {
			threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
			if err != nil {
				s.t.Fatal(err)
			}
			for _, file := range threads {
				text, err := os.ReadFile(file)
				if err != nil {
					continue // the thread has ended
				}
				n, err := strconv.Atoi(strings.Fields(string(text))[0]) // nanoseconds on a processor
				if err != nil {
					s.t.Fatal(err)
				}
				ns += n
			}
		}
		return ns
	}
	before, began := used(), time.Now()
	time.Sleep(d)
	return float64(used()-before) / float64(time.Since(began))
}
