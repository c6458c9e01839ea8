package examples

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Leavers' records and files are deleted though the file server is down at first; others' stay, and the audit has counted
// everything.
func TestAccountDeletion(t *testing.T) {
	t.Parallel()
	l := newLeavers(t)
	l.leave()
	await(t, "records are being deleted", func() bool { return len(l.scan("Records")) < 5*leaverRecords })
	l.fileServer()
	l.awaitGone()
	l.check(true)
}

// The server is killed while things are being deleted.
func TestAccountDeletionKilled(t *testing.T) {
	t.Parallel()
	l := newLeavers(t)
	l.fileServer()
	l.leave()
	await(t, "records are being deleted", func() bool { return len(l.scan("Records")) < 5*leaverRecords })
	l.kill()
	l.start()
	l.awaitGone()
	l.check(false)
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
	server := &http.Server{Handler: httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: l.moto})}
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

// check looks at what is left, and at the audit. After a crash it may have missed what was deleted in that moment.
func (l *leaverApp) check(exact bool) {
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
		var steps []struct {
			Step  string
			Count int
		}
		await(l.t, "the audit is complete", func() bool {
			l.call(http.MethodGet, "/accounts/"+account+"/audit", nil, 200, &steps)
			return len(steps) == 3 && steps[2].Count > 0
		})
		if exact && (steps[0].Count != leaverRecords || steps[1].Count != leaverFiles) {
			l.t.Errorf("the audit of %s: %+v", account, steps)
		}
	}
}
