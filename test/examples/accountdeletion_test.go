package examples

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Leavers' records and files are deleted though the file server is down at first; others' stay, and the audit names
// everything.
func TestAccountDeletion(t *testing.T) {
	t.Parallel()
	l := newLeavers(t)
	l.leave()
	await(t, "records are being deleted", func() bool { return len(l.scan("Records")) < 5*leaverRecords })
	l.allowed.Store(1000)
	l.fileServer()
	l.awaitGone()
	l.check()
}

// The server is killed while records are being deleted, and again when some files are and the file server refuses more. The
// audit names everything all the same.
func TestAccountDeletionKilled(t *testing.T) {
	t.Parallel()
	l := newLeavers(t)
	l.allowed.Store(1)
	l.fileServer()
	l.leave()
	await(t, "records are being deleted", func() bool { return l.told("record ") > 0 })
	l.kill()
	l.start()
	await(t, "the file server has refused to delete", func() bool { return l.allowed.Load() < 0 })
	t.Logf("killed when %d records and %d files were told of", l.told("record "), l.told("file "))
	l.kill()
	l.allowed.Store(1000)
	l.start()
	l.awaitGone()
	l.check()
}

const (
	leaverRecords = 300
	leaverFiles   = 40
)

var leavers = []string{"ada", "ben", "cem"}

// leaverApp is the application with its file server.
type leaverApp struct {
	*app
	addr  string // of the file server, as the application knows it
	moto  string // where it really is
	files *s3.Client

	allowed atomic.Int32 // requests to delete files that are answered before they are refused
}

func newLeavers(t *testing.T) *leaverApp {
	python, path := python(t, "boto3", "moto.server")
	addr, moto := freeAddr(t), freeAddr(t)
	_, port, _ := strings.Cut(moto, ":")
	run(t, "moto", "", nil, python, "-m", "moto.server", "-H", "127.0.0.1", "-p", port)
	answers(t, "http://"+moto+"/moto-api/")
	l := &leaverApp{addr: addr, moto: moto, app: serve(t, "account-deletion", "template.yaml", []string{path}, "Files=http://"+addr)}
	l.files = s3.NewFromConfig(awsConfig("http://"+moto), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := l.files.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("account-files")}); err != nil {
		t.Fatal(err)
	}
	for _, account := range l.accounts() {
		for n := range leaverFiles {
			_, err := l.files.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("account-files"), Key: aws.String(fmt.Sprintf("%s/photo-%d.jpg", account, n)), Body: strings.NewReader("a photo"),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		l.put("Accounts", map[string]types.AttributeValue{"account": str(account), "state": str("active")})
		var writes []types.WriteRequest
		for n := range leaverRecords {
			writes = append(writes, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
				"account": str(account), "record": str(fmt.Sprintf("post-%04d", n)), "text": str(strings.Repeat("x", 100)),
			}}})
			if len(writes) == 25 {
				if _, err := l.db.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{l.table("Records"): writes}}); err != nil {
					t.Fatal(err)
				}
				writes = nil
			}
		}
	}
	return l
}

func (l *leaverApp) accounts() []string { return append([]string{"dan", "eva"}, leavers...) }

func (l *leaverApp) put(table string, item map[string]types.AttributeValue) {
	l.t.Helper()
	if _, err := l.db.PutItem(l.t.Context(), &dynamodb.PutItemInput{TableName: aws.String(l.table(table)), Item: item}); err != nil {
		l.t.Fatal(err)
	}
}

// fileServer lets the application reach moto's S3.
func (l *leaverApp) fileServer() {
	l.t.Helper()
	ln, err := net.Listen("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: l.moto})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Query().Has("delete") && l.allowed.Add(-1) < 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = server.Serve(ln) }() // ends with Close
	l.t.Cleanup(func() { _ = server.Close() })
}

// filesOf counts an account's files.
func (l *leaverApp) filesOf(account string) int {
	l.t.Helper()
	out, err := l.files.ListObjectsV2(l.t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("account-files"), Prefix: aws.String(account + "/")})
	if err != nil {
		l.t.Fatal(err)
	}
	return len(out.Contents)
}

// leave has the leavers' accounts deleted.
func (l *leaverApp) leave() {
	l.t.Helper()
	for _, account := range leavers {
		l.call(http.MethodDelete, "/accounts/"+account, nil, 202, nil)
	}
	l.call(http.MethodDelete, "/accounts/"+leavers[0], nil, 404, nil) // it is leaving already
	l.call(http.MethodDelete, "/accounts/nobody", nil, 404, nil)
}

func (l *leaverApp) awaitGone() {
	l.t.Helper()
	await(l.t, "the leavers' accounts are gone", func() bool { return len(l.scan("Accounts")) == 2 })
}

// told is how many things whose names begin so the audit tells of.
func (l *leaverApp) told(prefix string) (n int) {
	l.t.Helper()
	for _, it := range l.scan("Audit") {
		if strings.HasPrefix(text(it["thing"]), prefix) {
			n++
		}
	}
	return n
}

// check looks at what is left, and at the audit.
func (l *leaverApp) check() {
	l.t.Helper()
	left := map[string]int{}
	for _, it := range l.scan("Records") {
		left[text(it["account"])]++
	}
	for _, account := range []string{"dan", "eva"} {
		if left[account] != leaverRecords || l.filesOf(account) != leaverFiles {
			l.t.Errorf("%s, who stays, has %d records and %d files", account, left[account], l.filesOf(account))
		}
	}
	for _, account := range leavers {
		if left[account] > 0 || l.filesOf(account) > 0 {
			l.t.Errorf("of %s there are %d records and %d files", account, left[account], l.filesOf(account))
		}
		var told []struct{ Thing string }
		l.call(http.MethodGet, "/accounts/"+account+"/audit", nil, 200, &told)
		got, want := map[string]bool{}, map[string]bool{"the account": true}
		for _, it := range told {
			got[it.Thing] = true
		}
		for n := range leaverRecords {
			want[fmt.Sprintf("record post-%04d", n)] = true
		}
		for n := range leaverFiles {
			want[fmt.Sprintf("file %s/photo-%d.jpg", account, n)] = true
		}
		if !maps.Equal(got, want) {
			l.t.Errorf("the audit of %s names %d things, want these %d: %v", account, len(got), len(want), got)
		}
	}
}
