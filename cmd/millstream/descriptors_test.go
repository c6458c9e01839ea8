package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestFewDescriptors: a server that may open 256 files, met by 300 clients that keep their connections, serves those that it
// has room for, fails nobody's write for want of a file, stays well, and does not fill its log.
func TestFewDescriptors(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh to set a limit with")
	}
	program, err := exec.LookPath("millstream") // TestMain has put it on the path
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(shell, "-c", `ulimit -n 256 && exec "$0" serve --listen 127.0.0.1:0 --data "$1"`, program, t.TempDir())
	var log strings.Builder // read after Wait
	server.Stderr = &log
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Process.Kill()
	address := ""
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, rest, ok := strings.Cut(lines.Text(), "AWS_ENDPOINT_URL=http://"); ok {
			address, _, _ = strings.Cut(rest, " ")
			break
		}
	}
	go io.Copy(io.Discard, out)
	if address == "" {
		t.Fatal("the server did not say where it is")
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	one := &http.Client{}
	if body, err := call(ctx, one, address, "CreateTable", `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}],"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}]}`); err != nil {
		t.Fatal(body, err)
	}
	// 299 more connections, which stay open and say nothing: those beyond the server's places wait in the kernel's queue.
	var idle []net.Conn
	for range 299 {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	// Enough to have the database open new files: 60 MB.
	large := strings.Repeat("x", 300_000)
	for i := range 200 {
		if body, err := call(ctx, one, address, "PutItem", fmt.Sprintf(`{"TableName":"tab","Item":{"k":{"S":"%d"},"v":{"S":"%s"}}}`, i, large)); err != nil {
			t.Fatal(body, err)
		}
	}
	for _, conn := range idle {
		conn.Close()
	}
	res, err := one.Get("http://" + address + "/healthz")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("health: %v, %v", res, err)
	}
	if err := server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = server.Wait()
	if log.Len() > 10_000 {
		t.Errorf("the log has %d bytes, beginning with %.500s", log.Len(), log.String())
	}
}

// call makes a request of DynamoDB's API; an answer that is an error is one.
func call(ctx context.Context, c *http.Client, address, operation, body string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=me/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00")
	res, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return string(answer), err
}
