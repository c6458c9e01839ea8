package bucket

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func open(t *testing.T, dir string) *Service {
	t.Helper()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// do makes a request; header is in pairs of name and value.
func do(s *Service, method, address, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, address, strings.NewReader(body))
	r.Header.Set("Content-Length", fmt.Sprint(len(body))) // net/http's server has it there too
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// expect is do for a status; it returns the answer's body.
func expect(t *testing.T, s *Service, status int, method, address, body string, header ...string) string {
	t.Helper()
	w := do(s, method, address, body, header...)
	if w.Code != status {
		t.Fatalf("%s %s: %d, not %d: %s", method, address, w.Code, status, w.Body)
	}
	return w.Body.String()
}

// both runs a test with buckets in memory and in a folder.
func both(t *testing.T, f func(t *testing.T, dir string)) {
	t.Run("memory", func(t *testing.T) { f(t, "") })
	t.Run("folder", func(t *testing.T) { f(t, t.TempDir()) })
}

func begin(t *testing.T, s *Service, at string) string {
	t.Helper()
	id := regexp.MustCompile("<UploadId>(.*)</UploadId>").FindStringSubmatch(expect(t, s, 200, "POST", at+"?uploads", ""))
	if id == nil {
		t.Fatal("no upload was begun")
	}
	return at + "?uploadId=" + id[1]
}

func complete(parts ...string) string {
	var b strings.Builder
	for i := 0; i < len(parts); i += 2 {
		fmt.Fprintf(&b, "<Part><PartNumber>%s</PartNumber><ETag>%s</ETag></Part>", parts[i], parts[i+1])
	}
	return "<CompleteMultipartUpload>" + b.String() + "</CompleteMultipartUpload>"
}

// An object is put together from its parts, and what is no list of them is refused and leaves the upload open.
func TestUploads(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := open(t, dir)
		expect(t, s, 200, "PUT", "/things", "")
		up := begin(t, s, "/things/a/b")
		put := func(number, body string) string {
			t.Helper()
			w := do(s, "PUT", up+"&partNumber="+number, body)
			if w.Code != 200 {
				t.Fatalf("part %s: %d %s", number, w.Code, w.Body)
			}
			return w.Header().Get("ETag")
		}
		two, one := put("2", "world"), put("1", "hello ")
		put("3", "not asked for")
		for name, wrong := range map[string]string{
			"a negative part": complete("-1", one), "no part": complete(), "a part that is not there": complete("1", one, "4", two), "another sum": complete("1", two),
			"a part twice": complete("1", one, "1", one), "the wrong order": complete("2", two, "1", one), "no list": "<x",
		} {
			if w := do(s, "POST", up, wrong); w.Code != 400 {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		if list := expect(t, s, 200, "GET", up+"&part-number-marker=1&max-parts=1", ""); !strings.Contains(list, "<PartNumber>2<") || strings.Contains(list, "<PartNumber>3<") || !strings.Contains(list, "<IsTruncated>true<") {
			t.Errorf("the parts are %s", list)
		}
		expect(t, s, 200, "GET", up+"&part-number-marker=99999", "")
		if list := expect(t, s, 200, "GET", "/things?uploads", ""); !strings.Contains(list, "<Key>a/b</Key>") {
			t.Errorf("the uploads are %s", list)
		}
		expect(t, s, 200, "POST", up, complete("1", one, "2", two))
		if got := expect(t, s, 200, "GET", "/things/a/b", ""); got != "hello world" {
			t.Errorf("the object is %q", got)
		}
		expect(t, s, 404, "POST", up, complete("1", one))
		up = begin(t, s, "/things/gone")
		put("1", "x")
		expect(t, s, 204, "DELETE", up, "")
		if s.backend.bytes != 0 || len(s.backend.uploads) != 0 {
			t.Errorf("%d bytes of %d uploads are held", s.backend.bytes, len(s.backend.uploads))
		}
		if dir != "" {
			if left, err := os.ReadDir(filepath.Join(dir, spoolDir)); err != nil || len(left) > 0 {
				t.Errorf("the spool has %v, %v", left, err)
			}
		}
	})
}

// Nobody fills the disk or the memory with what is never completed.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, "")
		expect(t, s, 200, "PUT", "/things", "")
		long := func(method, address string, length int64) int {
			r := httptest.NewRequest(method, address, strings.NewReader("x"))
			r.ContentLength = length
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			return w.Code
		}
		if got := long("PUT", "/things/k", MaxObject+1); got != 400 {
			t.Errorf("an object that is too long: %d", got)
		}
		if got := long("POST", "/things?delete", maxOther+1); got != 400 {
			t.Errorf("a list that is too long: %d", got)
		}
		up := begin(t, s, "/things/a")
		expect(t, s, 200, "PUT", up+"&partNumber=1", "x")
		s.backend.bytes += maxPartBytes - 1 // as if others held it
		if got := do(s, "PUT", up+"&partNumber=2", "x"); got.Code < 500 || !strings.Contains(got.Body.String(), "complete or abort") {
			t.Errorf("a part too many: %d %s", got.Code, got.Body)
		}
		s.backend.bytes -= maxPartBytes - 1
		time.Sleep(uploadLife + time.Second)
		begin(t, s, "/things/b")
		expect(t, s, 404, "PUT", up+"&partNumber=2", "x")
		if s.backend.bytes != 0 || len(s.backend.uploads) != 1 {
			t.Errorf("%d bytes of %d uploads are held", s.backend.bytes, len(s.backend.uploads))
		}
		s.backend.admit = func() error { return errors.New("the disk is full") }
		if got := do(s, "PUT", "/things/k", "x"); got.Code != 500 || !strings.Contains(got.Body.String(), "the disk is full") {
			t.Errorf("a put on a full disk: %d %s", got.Code, got.Body)
		}
	})
}

// A fault of the library is one request's, and ends nothing else.
func TestFaultIsOneRequests(t *testing.T) {
	s := open(t, "")
	s.s3 = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("index out of range") })
	expect(t, s, 500, "GET", "/things/k", "")
}

// Names lead out of no bucket.
func TestNames(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := open(t, dir)
		expect(t, s, 200, "PUT", "/things", "")
		expect(t, s, 200, "PUT", "/things/k", "x")
		expect(t, s, 200, "PUT", "/others", "")
		for _, name := range []string{".", "..", "", "x/y", "things/sub", "UPPER", "ab"} {
			if err := s.Create("", name); err == nil {
				t.Errorf("a bucket %q was made", name)
			}
			if is, err := s.Exists("", name); is || err != nil {
				t.Errorf("there is a bucket %q (%v)", name, err)
			}
			if err := s.Delete(name); err != nil {
				t.Errorf("the deletion of %q: %v", name, err)
			}
		}
		expect(t, s, 400, "DELETE", "/.", "")
		expect(t, s, 400, "DELETE", "/..", "", "x-minio-force-delete", "true")
		expect(t, s, 400, "PUT", "/others/../things/k", "y")
		for _, key := range []string{"..", ".", "a/../../k", "../things/k"} {
			if err := s.Put("things", key, nil); err == nil {
				t.Errorf("%q was put", key)
			}
		}
		expect(t, s, 404, "GET", "/others/../things/k", "")
		expect(t, s, 204, "DELETE", "/others/../things/k", "")
		expect(t, s, 200, "POST", "/others?delete", "<Delete><Object><Key>../things/k</Key></Object></Delete>")
		expect(t, s, 404, "PUT", "/others/copy", "", "X-Amz-Copy-Source", "/others/../things/k")
		expect(t, s, 400, "PUT", "/things/"+strings.Repeat("k", 1025), "x")
		expect(t, s, 200, "PUT", "/things/"+strings.Repeat("k", 1024), "x")
		if got, err := s.Get(t.Context(), "", "things", "k"); err != nil || string(got) != "x" {
			t.Errorf("the object is %q, %v", got, err)
		}
	})
}

// A bucket that holds something stays; one that is gone, or whose objects are, can be deleted.
func TestDelete(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := open(t, dir)
		if err := s.Delete("nobody"); err != nil {
			t.Errorf("a bucket that is not there: %v", err)
		}
		expect(t, s, 404, "DELETE", "/nobody", "")
		expect(t, s, 200, "PUT", "/things", "")
		expect(t, s, 200, "PUT", "/things/a/b", "x")
		if err := s.Delete("things"); err == nil || !strings.Contains(err.Error(), "BucketNotEmpty") {
			t.Errorf("a bucket that holds something: %v", err)
		}
		expect(t, s, 409, "DELETE", "/things", "")
		expect(t, s, 200, "GET", "/things/a/b", "")
		expect(t, s, 204, "DELETE", "/things/a/b", "")
		if err := s.Delete("things"); err != nil {
			t.Errorf("an empty bucket: %v", err)
		}
		expect(t, s, 404, "HEAD", "/things", "")
	})
}

// An object is no page of the server's origin.
func TestObjectsAreNoPages(t *testing.T) {
	s := open(t, "")
	expect(t, s, 200, "PUT", "/things", "")
	expect(t, s, 200, "PUT", "/things/page", "<script>fetch('/')</script>", "Content-Type", "text/html", "X-Amz-Meta-Content-Security-Policy", "none")
	w := do(s, "GET", "/things/page?response-content-type=text/html", "", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", "none")
	if h := w.Header(); w.Code != 200 || h.Get("Content-Security-Policy") != "sandbox" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("an address that was typed: %d %v", w.Code, h)
	}
	for _, site := range []string{"same-origin", "same-site", "cross-site", ""} {
		expect(t, s, 403, "GET", "/things/page", "", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Site", site)
	}
}

// cut is a body that ends too soon.
type cut struct{ io.Reader }

func (c cut) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// An object is there whole or not at all: a put that is cut off, in the body, or by the server's end, leaves what was there, with its
// metadata, and a restored copy of the folder has the same ETags.
func TestObjectsAreWhole(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	expect(t, s, 200, "PUT", "/things", "")
	expect(t, s, 200, "PUT", "/things/a/old", "old", "X-Amz-Meta-Of", "before")
	tag := do(s, "HEAD", "/things/a/old", "").Header().Get("ETag")
	r := httptest.NewRequest("PUT", "/things/a/old", cut{strings.NewReader("ne")})
	r.Header.Set("Content-Length", "3")
	w := httptest.NewRecorder()
	if s.ServeHTTP(w, r); w.Code != 400 {
		t.Errorf("a body that was cut off: %d", w.Code)
	}
	expect(t, s, 400, "PUT", "/things/a/old", "new", "Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA==")

	// Whenever the server ends amid a put, the folder is as it was but for the spool.
	file, err := s.backend.write(object{Bucket: "things", Key: "a/old"}, strings.NewReader("newer"))
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close() // the server's end does
	s = open(t, dir)
	w = do(s, "GET", "/things/a/old", "")
	if h := w.Header(); w.Body.String() != "old" || h.Get("X-Amz-Meta-Of") != "before" || h.Get("ETag") != tag {
		t.Errorf("after an end amid a put the object is %q with %v", w.Body, h)
	}
	if left, err := os.ReadDir(filepath.Join(dir, spoolDir)); err != nil || len(left) > 0 {
		t.Errorf("the spool has %v, %v", left, err)
	}

	// A copy of the files has other times.
	at := filepath.Join(dir, place("things", "a/old"))
	if err := os.Chtimes(at, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if got := do(open(t, dir), "HEAD", "/things/a/old", "").Header().Get("ETag"); got != tag {
		t.Errorf("of a copy the ETag is %s, not %s", got, tag)
	}

	// Nothing of what was before stays with a new object.
	expect(t, s, 200, "PUT", "/things/a/old", "new")
	if h := do(s, "HEAD", "/things/a/old", "").Header(); h.Get("X-Amz-Meta-Of") != "" {
		t.Errorf("a new object has the old one's %v", h)
	}
}

// A damaged object is told, and is none that is not there.
func TestDamagedObject(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	expect(t, s, 200, "PUT", "/things", "")
	expect(t, s, 200, "PUT", "/things/k", "content")
	expect(t, s, 200, "PUT", "/things/other", "content")
	at := filepath.Join(dir, place("things", "k"))
	whole, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	for i := len("content"); i < len(whole); i += 3 {
		text := slices.Clone(whole)
		text[i] ^= 0x20
		if err := os.WriteFile(at, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), "", "things", "k"); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Fatalf("with byte %d changed: %v", i, err)
		}
	}
	for n := 0; n < len(whole); n += 5 {
		if err := os.WriteFile(at, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), "", "things", "k"); err == nil || !strings.Contains(err.Error(), "is damaged") {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	expect(t, s, 500, "GET", "/things/k", "")
	expect(t, s, 200, "GET", "/things/other", "")
	expect(t, s, 204, "DELETE", "/things/k", "")
	expect(t, s, 404, "GET", "/things/k", "")
}

// Keys are whatever S3 takes: with slashes at the end, the beginning and one after another, and beside keys that are their folders.
func TestKeys(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := open(t, dir)
		expect(t, s, 200, "PUT", "/things", "")
		keys := []string{"/a", "a", "a/", "a/./b", "a//b", "a/b", "a/b/c", "b/../c", "folder/", "x y+z%"}
		for i, key := range keys {
			if err := s.Put("things", key, []byte{byte(i)}); err != nil {
				t.Errorf("%q: %v", key, err)
			}
		}
		for i, key := range keys {
			if got, err := s.Get(t.Context(), "", "things", key); err != nil || !slices.Equal(got, []byte{byte(i)}) {
				t.Errorf("%q has %v, %v", key, got, err)
			}
		}
		if got, err := s.Keys("things", ""); err != nil || !slices.Equal(got, keys) {
			t.Errorf("the keys are %q, %v", got, err)
		}
		list := func(query string) (names []string, next string) {
			t.Helper()
			text := expect(t, s, 200, "GET", "/things?list-type=2&"+query, "")
			for _, m := range regexp.MustCompile("<(?:Key|Prefix|NextContinuationToken)>([^<]*)<").FindAllStringSubmatch(text, -1) {
				if strings.HasPrefix(m[0], "<Next") {
					next = m[1]
				} else if m[1] != "" {
					names = append(names, m[1])
				}
			}
			return names, next
		}
		for query, want := range map[string][]string{
			"delimiter=/":                         {"a", "x y+z%", "/", "a/", "b/", "folder/"},
			"delimiter=/&prefix=a/":               {"a/", "a/", "a/b", "a//", "a/./", "a/b/"}, // the prefix first
			"prefix=none/&delimiter=/":            {"none/"},
			"prefix=a/b":                          {"a/b", "a/b", "a/b/c"},
			"start-after=b/../c":                  {"folder/", "x y+z%"},
			"delimiter=/&start-after=a":           {"x y+z%", "a/", "b/", "folder/"},
			"delimiter=/&prefix=%2F":              {"/", "/a"},
			"delimiter=/b&prefix=a&max-keys=1000": {"a", "a", "a/", "a/./b", "a//b", "a/b"},
		} {
			got, _ := list(query)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, not %q", query, got, want)
			}
		}
		var paged []string
		for next, n := "", 0; ; n++ {
			query := "max-keys=3"
			if next != "" {
				query += "&continuation-token=" + next
			}
			var names []string
			if names, next = list(query); len(names) > 3 || n > len(keys) {
				t.Fatalf("page %d: %q", n, names)
			}
			paged = append(paged, names...)
			if next == "" {
				break
			}
		}
		if !slices.Equal(paged, keys) {
			t.Errorf("the pages have %q", paged)
		}
		expect(t, s, 200, "POST", "/things?delete", "<Delete><Object><Key>a//b</Key></Object><Object><Key>folder/</Key></Object></Delete>")
		if got, err := s.Keys("things", "a/"); err != nil || !slices.Equal(got, []string{"a/", "a/./b", "a/b", "a/b/c"}) {
			t.Errorf("after a deletion: %q, %v", got, err)
		}
	})
}
