package sdk

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestJavaScript(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		absent(t, "node is not installed")
	}
	modules := os.Getenv("SDKTEST_NODE_PATH")
	env := []string{"NODE_PATH=" + modules}
	if out, err := run(t, env, node, "-e", "require.resolve('@aws-sdk/client-dynamodb'); require.resolve('@aws-sdk/client-lambda')"); err != nil {
		absent(t, "the JavaScript SDK is not installed; npm install @aws-sdk/client-dynamodb @aws-sdk/client-lambda and set SDKTEST_NODE_PATH to its node_modules: "+firstLine(out))
	}
	withoutAndWithAuth(t, func(t *testing.T, args ...string) {
		endpoint := serve(t, env, args...)
		out, err := run(t, append(env, script(t, endpoint)...), node, "javascript/loop.cjs")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
	})
}

// withoutAndWithAuth runs a test against a server that lets everybody in, and one that verifies signatures by the key of script.
func withoutAndWithAuth(t *testing.T, test func(t *testing.T, args ...string)) {
	t.Run("off", func(t *testing.T) { test(t) })
	t.Run("on", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		test(t, "--auth", "on", "--root-access-key-id", "test", "--root-secret-access-key-file", file)
	})
}

// secret is that of the key with which the scripts sign.
const secret = "a secret of the tests"

func TestPython(t *testing.T) {
	python, err := exec.LookPath(cmp.Or(os.Getenv("SDKTEST_PYTHON"), "python3"))
	if err != nil {
		absent(t, "python3 is not installed")
	}
	if out, err := run(t, nil, python, "-c", "import boto3"); err != nil {
		absent(t, "boto3 is not installed; pip install boto3, or set SDKTEST_PYTHON to a python that has it: "+firstLine(out))
	}
	// The function's runtime is the first python3 on the server's PATH.
	bin, err := filepath.Abs(filepath.Dir(python))
	if err != nil {
		t.Fatal(err)
	}
	withoutAndWithAuth(t, func(t *testing.T, args ...string) {
		endpoint := serve(t, []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH")}, args...)
		out, err := run(t, script(t, endpoint), python, "python/loop.py")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
	})
}

// absent skips the test, or fails it where the SDKs were installed for it.
func absent(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("SDKTEST_REQUIRE") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// script is what the scripts are told.
func script(t *testing.T, endpoint string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=us-east-1",
		"AWS_DEFAULT_REGION=us-east-1", "RECEIVED=" + filepath.Join(t.TempDir(), "received"),
	}
}

func run(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}

// serve builds Millstream, or takes MILLSTREAM_BIN, and runs it in memory until
// the test ends.
func serve(t *testing.T, env []string, args ...string) (endpoint string) {
	t.Helper()
	bin := os.Getenv("MILLSTREAM_BIN")
	if bin == "" {
		bin = filepath.Join(t.TempDir(), "millstream")
		build := exec.Command("go", "build", "-o", bin, "../../cmd/millstream")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build millstream: %v\n%s", err, out)
		}
	}
	addr := freeAddr(t)
	cmd := exec.Command(bin, append([]string{"serve", "--listen", addr, "--in-memory"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // gone already: Wait has returned
		limit := time.NewTimer(20 * time.Second)
		defer limit.Stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("millstream ended with %v", err)
			}
		case <-limit.C:
			_ = cmd.Process.Kill()
			<-ended
			t.Error("millstream did not end within 20 s of SIGTERM")
		}
		if t.Failed() {
			t.Logf("millstream printed:\n%s", output.String())
		}
	})
	endpoint = "http://" + addr
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for {
		if resp, err := http.Get(endpoint + "/healthz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return endpoint
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatal(fmt.Errorf("millstream ended before it answered: %w", err))
		case <-deadline.C:
			t.Fatal("millstream did not answer within 30 s")
		case <-poll.C:
		}
	}
}
