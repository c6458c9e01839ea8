package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/millstreamdb/millstream/internal/bucket"
	"github.com/millstreamdb/millstream/internal/export"
)

// An export of which a file is missing, is another or is one too many is not imported as if it were whole.
func TestImportChecksTheManifest(t *testing.T) {
	for _, row := range []struct {
		what   string
		change func(data string) error
		want   string
	}{
		{"whole", func(string) error { return nil }, ""},
		{"missing", func(data string) error { return os.Remove(filepath.Join(data, "a.json.gz")) }, "a.json.gz is missing"},
		{"changed", func(data string) error { return os.WriteFile(filepath.Join(data, "b.json.gz"), []byte("other"), 0o600) }, "is not what was exported"},
		{"more", func(data string) error { return os.WriteFile(filepath.Join(data, "c.json.gz"), nil, 0o600) }, "c.json.gz is not in the manifest"},
		{"no list", func(data string) error { return os.Remove(filepath.Join(data, "..", export.FilesJSON)) }, "no list of its files"},
	} {
		root := t.TempDir()
		data := filepath.Join(root, "data")
		err := os.Mkdir(data, 0o700)
		var files []export.File
		for i, name := range []string{"a.json.gz", "b.json.gz"} {
			content := []byte(fmt.Sprint("content ", i))
			if err == nil {
				err = os.WriteFile(filepath.Join(data, name), content, 0o600)
			}
			files = append(files, export.File{ItemCount: 2, MD5Checksum: export.Sum(content), Key: "prefix/data/" + name})
		}
		manifest, e := export.Manifest(files)
		for name, content := range map[string][]byte{export.FilesJSON: manifest, export.SummaryJSON: []byte("{}")} {
			if err == nil && e == nil {
				err = os.WriteFile(filepath.Join(root, name), content, 0o600)
			}
		}
		if err == nil && e == nil {
			err = row.change(data)
		}
		if err != nil || e != nil {
			t.Fatal(err, e)
		}
		names, err := filesIn(root)
		if err != nil {
			t.Fatal(err)
		}
		chosen, _, err := choose(names)
		if err != nil {
			t.Fatal(err)
		}
		n, err := checkManifest(names, chosen, os.ReadFile)
		if row.want == "" && (n != 4 || err != nil) || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %d, %v", row.what, n, err)
		}
	}
}

// A command that was killed leaves its bucket to one of a later day. Nobody else's goes.
func TestTemporaryBucketsGo(t *testing.T) {
	buckets, err := bucket.Open(bucket.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(buckets)
	defer server.Close()
	m := &mover{s3: s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	})}
	for _, name := range []string{"millstream-exports", "millstream-5e3b6cd6-7d43-4ed4-9fbd-0c9ee5fd2f6c"} {
		if err := errors.Join(buckets.Create("", name), buckets.Put(name, "a/b", []byte("1"))); err != nil {
			t.Fatal(err)
		}
	}
	there := func() (names []string) {
		out, err := m.s3.ListBuckets(t.Context(), &s3.ListBucketsInput{})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range out.Buckets {
			names = append(names, *b.Name)
		}
		return names
	}
	made, end, err := m.temporary(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := buckets.Put(made, "c", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if names := there(); slices.Contains(names, made) || len(names) != 2 {
		t.Errorf("after a command: %v", names)
	}
	if err := m.sweep(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if names := there(); !slices.Equal(names, []string{"millstream-exports"}) {
		t.Errorf("a day later: %v", names)
	}
}

// TestExportThatIsRefused: a fault of the server may be damage or anything else, and is told as no more than it is.
func TestExportThatIsRefused(t *testing.T) {
	buckets, err := bucket.Open(bucket.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".DescribeTable"):
			fmt.Fprint(w, `{"Table":{"TableArn":"arn:aws:dynamodb:us-east-1:000000000000:table/tab"}}`)
		case r.Header.Get("X-Amz-Target") != "":
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"of some kind"}`)
		default:
			buckets.ServeHTTP(w, r)
		}
	}))
	defer server.Close()
	keys := credentials.NewStaticCredentialsProvider("a", "b", "")
	m := &mover{
		s3: s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: &server.URL, UsePathStyle: true, Credentials: keys}),
		db: dynamodb.New(dynamodb.Options{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: keys, RetryMaxAttempts: 1}),
	}
	err = m.export(t.Context(), "tab", "s3://exports/", false)
	for _, want := range []string{"tab cannot be exported: the server's log says why", "if that is damage, `millstream check --running`", "of some kind"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v has no %q", err, want)
		}
	}
}

// TestLinksAreNotLeftOut: no file of an import is left out because it is a link; the folder itself may be one.
func TestLinksAreNotLeftOut(t *testing.T) {
	root := t.TempDir()
	data, link := filepath.Join(root, "data"), filepath.Join(root, "link")
	if err := errors.Join(os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "a.json"), nil, 0o600), os.Symlink(data, link)); err != nil {
		t.Fatal(err)
	}
	if names, err := filesIn(link); err != nil || len(names) != 1 {
		t.Errorf("of a link to the folder: %q, %v", names, err)
	}
	if err := os.Symlink(filepath.Join(data, "a.json"), filepath.Join(data, "b.json")); err != nil {
		t.Fatal(err)
	}
	if names, err := filesIn(data); err == nil || !strings.Contains(err.Error(), "b.json is a link") {
		t.Errorf("of a folder with a link: %q, %v", names, err)
	}
}
