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
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/millstreamdb/millstream/test/doors"
)

// door is closed with SDK_DOORS=closed.
var door doors.Doors

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "millstream-sdk-")
	if err == nil && os.Getenv("SDK_DOORS") == "closed" {
		door, err = doors.Close(dir)
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

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
		out, err := run(t, append(env, script(endpoint)...), node, "javascript/loop.cjs")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
	})
}

// withoutAndWithAuth runs a test against a server that lets everybody in, and one that verifies signatures by the key of script; once
// where doors are closed.
func withoutAndWithAuth(t *testing.T, test func(t *testing.T, args ...string)) {
	if door.Cert != "" {
		test(t)
		return
	}
	t.Run("off", func(t *testing.T) { test(t) })
	t.Run("on", func(t *testing.T) {
		flags, err := doors.Signed(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		test(t, flags...)
	})
}

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
		out, err := run(t, script(endpoint), python, "python/loop.py")
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
func script(endpoint string) []string {
	return append([]string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=" + doors.Secret, "AWS_REGION=us-east-1",
		"AWS_DEFAULT_REGION=us-east-1",
	}, door.Env...)
}

// config is for clients of the SDK for Go.
func config() aws.Config {
	return aws.Config{Region: "us-east-1", HTTPClient: http.DefaultClient, Credentials: credentials.NewStaticCredentialsProvider("test", doors.Secret, "")}
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
	endpoint = door.Scheme() + "://" + addr
	cmd := exec.Command(bin, slices.Concat([]string{"serve", "--listen", addr, "--in-memory"}, door.Flags, args)...)
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
