package main

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// TestDevTypeScript: an application of three functions runs from its .ts files with nothing but node installed. A saved
// change is in effect within half a second, an error names the line of the source, and what does not compile is shown while
// the version before goes on.
func TestDevTypeScript(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS("../../examples/typescript-orders")); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(dir, "src", "orders.ts")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	save := func(from, to string) {
		t.Helper()
		if !strings.Contains(string(text), from) {
			t.Fatalf("%s is not in\n%s", from, text)
		}
		text = []byte(strings.Replace(string(text), from, to, 1))
		if err := os.WriteFile(source, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	line := func(of string) string { // of the source
		t.Helper()
		i := strings.Index(string(text), of)
		if i < 0 {
			t.Fatalf("%s is not in the source", of)
		}
		return regexp.QuoteMeta(source) + ":" + strconv.Itoa(strings.Count(string(text[:i]), "\n")+1)
	}

	out, endpoint, at := runDev(t, filepath.Join(dir, "template.yaml"))
	m, _ := out.await(t, 0, `Routes at (http://\S+)/\n`)
	out.await(t, 0, `Built by esbuild, without a look at types \(tsc --noEmit checks them\): Quote, Confirm, Watch\n`)
	quote := func(what string) string {
		t.Helper()
		res, err := http.Get(m[1] + "/quotes/" + what)
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
	if got := quote("hat/2"); got != `{"sku":"hat","price":25}` {
		t.Error(got)
	}

	// In effect means: what is asked from then on is answered by the new code.
	save("hat: 12.5", "hat: 13")
	saved := time.Now()
	_, at = out.await(t, at, `(?s)changed: src/orders.ts\n.*  updated +Quote [^\n]*\(code\)\n.*  updated +Confirm [^\n]*\(code\)\n.*In effect after \d+ ms`)
	took := time.Since(saved)
	if got := quote("hat/2"); got != `{"sku":"hat","price":26}` {
		t.Error("after the change: ", got)
	}
	if took > 500*time.Millisecond && !testing.Short() {
		t.Errorf("a saved change was in effect after %v; half a second is promised", took)
	} else {
		t.Logf("a saved change was in effect after %v", took)
	}
	// An error names the line of the source, where it is thrown and where that is called.
	quote("shoe/1")
	_, at = out.await(t, at, `Quote  FAILED[^!]*! Error: there is no article shoe\n.*at priceOf \(`+line("throw new Error")+`:\d+\)\n`)
	_, at = out.await(t, at, `at .*\(`+regexp.QuoteMeta(filepath.Join(dir, "src", "quote.ts"))+`:9:\d+\)\n`)

	// So it does in what a function prints; and the order is confirmed once the code is mended.
	db := dynamodb.New(dynamodb.Options{
		BaseEndpoint: &endpoint, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""),
	})
	if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("shop-Orders"), Item: map[string]types.AttributeValue{
		"id": &types.AttributeValueMemberS{Value: "o-1"}, "sku": &types.AttributeValueMemberS{Value: "shoe"},
		"count": &types.AttributeValueMemberN{Value: "1"}, "status": &types.AttributeValueMemberS{Value: "paid"},
	}}); err != nil {
		t.Fatal(err)
	}
	_, at = out.await(t, at, `cannot confirm o-1: Error: there is no article shoe\n.*at priceOf \(`+line("throw new Error")+`:\d+\)\n`)
	save("scarf: 20", "scarf: 20, shoe: 80")
	_, at = out.await(t, at, `confirmed o-1: 80`)

	// What does not compile is shown with its line, and the version before goes on.
	save("export function priceOf(", "export function priceOf((")
	_, at = out.await(t, at, `Not deployed, what was there before goes on:\n.*`+line("export function priceOf(")+`:\d+: `)
	if got := quote("hat/2"); got != `{"sku":"hat","price":26}` {
		t.Error(got)
	}
	save("priceOf((", "priceOf(")
	_, _ = out.await(t, at, `In effect`)
}
