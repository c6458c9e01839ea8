package bucket

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A bucket's settings are given back as they were put, over a restart too, until they or the bucket are deleted.
func TestSettings(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := open(t, dir)
		expect(t, s, 200, "PUT", "/things", "")
		put := map[string]string{
			"tagging": `<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>`, "versioning": `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`,
			"policy": `{"Version":"2012-10-17","Statement":[]}`, "lifecycle": `<LifecycleConfiguration><Rule><ID>x</ID></Rule></LifecycleConfiguration>`,
			"publicAccessBlock": `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>`,
		}
		for name, value := range put {
			if w := do(s, "PUT", "/things?"+name, value); w.Code/100 != 2 {
				t.Fatalf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		if dir != "" {
			s = open(t, dir)
			if looked, faults, err := Check(t.Context(), dir); int(looked) != len(put) || faults != nil || err != nil {
				t.Errorf("the check looked at %d files and found %q, %v", looked, faults, err)
			}
		}
		for name, value := range put {
			if is := expect(t, s, 200, "GET", "/things?"+name, ""); is != value {
				t.Errorf("%s is %s, want %s", name, is, value)
			}
		}
		expect(t, s, 204, "PUT", "/things?tagging", `<Tagging><TagSet/></Tagging>`)
		expect(t, s, 204, "DELETE", "/things?tagging", "")
		expect(t, s, 204, "DELETE", "/things?tagging", "")
		if is := expect(t, s, 404, "GET", "/things?tagging", ""); !strings.Contains(is, "<Code>NoSuchTagSet</Code>") {
			t.Error(is)
		}
		expect(t, s, 204, "DELETE", "/things", "")
		expect(t, s, 404, "PUT", "/things?tagging", put["tagging"])
		expect(t, s, 200, "PUT", "/things", "")
		if is := expect(t, s, 200, "GET", "/things?versioning", ""); strings.Contains(is, "Enabled") {
			t.Errorf("a bucket has a setting of an earlier one of its name: %s", is)
		}
	})
}

// What people rely on to have something done is refused, and so is what cannot be read.
func TestRefusedSettings(t *testing.T) {
	s := open(t, "")
	expect(t, s, 200, "PUT", "/things", "")
	for _, c := range []struct {
		name, value string
		status      int
	}{
		{"notification", `<NotificationConfiguration/>`, 200},
		{"notification", `<NotificationConfiguration><QueueConfiguration><Queue>q</Queue></QueueConfiguration></NotificationConfiguration>`, http.StatusNotImplemented},
		{"replication", `<ReplicationConfiguration><Role>r</Role></ReplicationConfiguration>`, http.StatusNotImplemented},
		{"object-lock", `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>`, http.StatusNotImplemented},
		{"tagging", `<Tagging>`, 400},
		{"cors", strings.Repeat(" ", maxSetting+1), 400},
	} {
		if w := do(s, "PUT", "/things?"+c.name, c.value); w.Code != c.status {
			t.Errorf("%s %.40s: %d %s", c.name, c.value, w.Code, w.Body)
		}
	}
	expect(t, s, 404, "GET", "/other?tagging", "")
	expect(t, s, 405, "POST", "/things?tagging", "")
}

// Nothing is taken that is to be locked: neither a bucket nor an object.
func TestLocks(t *testing.T) {
	s := open(t, "")
	expect(t, s, 501, "PUT", "/locked", "", "X-Amz-Bucket-Object-Lock-Enabled", "true")
	expect(t, s, 404, "HEAD", "/locked", "")
	expect(t, s, 200, "PUT", "/things", "", "X-Amz-Bucket-Object-Lock-Enabled", "false")
	for name, value := range map[string]string{"X-Amz-Object-Lock-Mode": "GOVERNANCE", "X-Amz-Object-Lock-Retain-Until-Date": "2030-01-01T00:00:00Z", "X-Amz-Object-Lock-Legal-Hold": "ON"} {
		expect(t, s, 400, "PUT", "/things/a", "x", name, value)
		expect(t, s, 400, "POST", "/things/a?uploads", "", name, value)
	}
	expect(t, s, 404, "GET", "/things/a", "")
}

// The log tells of a bucket that is given versions, however that is written.
func TestVersioningIsToldOf(t *testing.T) {
	for document, told := range map[string]bool{
		`<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`:                                                             true,
		`<v:VersioningConfiguration xmlns:v="http://s3.amazonaws.com/doc/2006-03-01/"><v:Status> Enabled </v:Status></v:VersioningConfiguration>`: true,
		`<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`:                                                           false,
		`<VersioningConfiguration/>`: false,
	} {
		var log strings.Builder
		s, err := Open(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, s, 200, "PUT", "/things", "")
		expect(t, s, 200, "PUT", "/things?versioning", document)
		if strings.Contains(log.String(), "a bucket was given versions") != told {
			t.Errorf("%s: the log is %q", document, log.String())
		}
	}
}

// A request for a part of a bucket or an object is never one for the whole: it lists nothing, deletes nothing and
// writes over nothing.
func TestParts(t *testing.T) {
	s := open(t, "")
	expect(t, s, 200, "PUT", "/things", "")
	expect(t, s, 501, "DELETE", "/things?analytics&id=x", "")
	expect(t, s, 501, "GET", "/things?inventory", "")
	expect(t, s, 200, "PUT", "/things/a", "content", "X-Amz-Tagging", "k=v+w&x=%3C")
	expect(t, s, 200, "PUT", "/things/a?acl", "<AccessControlPolicy/>")
	expect(t, s, 501, "PUT", "/things/a?retention", "<Retention/>")
	expect(t, s, 501, "GET", "/things/a?attributes", "")
	if is := expect(t, s, 200, "GET", "/things/a", ""); is != "content" {
		t.Fatalf("the object is %q", is)
	}
	if is := expect(t, s, 200, "GET", "/things/a?tagging", ""); !strings.Contains(is, "<Tag><Key>k</Key><Value>v w</Value></Tag><Tag><Key>x</Key><Value>&lt;</Value></Tag>") {
		t.Error(is)
	}
	expect(t, s, 200, "PUT", "/things/a?tagging", `<Tagging><TagSet><Tag><Key>n</Key><Value>1</Value></Tag></TagSet></Tagging>`)
	if is := expect(t, s, 200, "GET", "/things/a?tagging", ""); !strings.Contains(is, "<TagSet><Tag><Key>n</Key><Value>1</Value></Tag></TagSet>") {
		t.Error(is)
	}
	expect(t, s, 204, "DELETE", "/things/a?tagging", "")
	if is := expect(t, s, 200, "GET", "/things/a?tagging", ""); !strings.Contains(is, "<TagSet></TagSet>") {
		t.Error(is)
	}
	if is := expect(t, s, 200, "GET", "/things/a", ""); is != "content" {
		t.Errorf("with other tags the object is %q", is)
	}
	expect(t, s, 404, "GET", "/things/b?tagging", "")
	expect(t, s, 404, "PUT", "/things/b?acl", "")
}

// While an object gets other tags, others write: what is put meanwhile stays, and gets them. Its time stays, too.
func TestTagsBesideAPut(t *testing.T) {
	var meanwhile func()
	s, err := Open(Options{Admit: func() error {
		if f := meanwhile; f != nil {
			meanwhile = nil
			f()
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, s, 200, "PUT", "/things", "")
	expect(t, s, 200, "PUT", "/things/a", "old")
	listed := regexp.MustCompile("<LastModified>.*?</LastModified>")
	before := listed.FindString(expect(t, s, 200, "GET", "/things", ""))
	tags := `<Tagging><TagSet><Tag><Key>n</Key><Value>1</Value></Tag></TagSet></Tagging>`
	expect(t, s, 200, "PUT", "/things/a?tagging", tags)
	if after := listed.FindString(expect(t, s, 200, "GET", "/things", "")); after != before || before == "" {
		t.Errorf("with other tags the object's time is %s, not %s", after, before)
	}
	meanwhile = func() { expect(t, s, 200, "PUT", "/things/a", "new") }
	expect(t, s, 200, "PUT", "/things/a?tagging", tags)
	if is := expect(t, s, 200, "GET", "/things/a", ""); is != "new" {
		t.Errorf("the object is %q", is)
	}
	if is := expect(t, s, 200, "GET", "/things/a?tagging", ""); !strings.Contains(is, "<Key>n</Key>") {
		t.Errorf("what was put meanwhile has the tags %s", is)
	}
	meanwhile = func() { expect(t, s, 204, "DELETE", "/things/a", "") }
	expect(t, s, 404, "PUT", "/things/a?tagging", tags)
	expect(t, s, 404, "GET", "/things/a", "")
}

// An object is given back with the headers that S3 keeps with it.
func TestShownHeaders(t *testing.T) {
	both(t, func(t *testing.T, dir string) {
		s := open(t, dir)
		expect(t, s, 200, "PUT", "/things", "")
		put := []string{"Cache-Control", "no-cache", "Content-Language", "de", "Expires", "Wed, 21 Oct 2026 07:28:00 GMT", "Content-Disposition", "inline", "Content-Encoding", "x"}
		expect(t, s, 200, "PUT", "/things/a", "content", put...)
		for _, method := range []string{"GET", "HEAD"} {
			h := do(s, method, "/things/a", "").Header()
			for i := 0; i < len(put); i += 2 {
				if h.Get(put[i]) != put[i+1] {
					t.Errorf("%s: %s is %q", method, put[i], h.Get(put[i]))
				}
			}
		}
		expect(t, s, 200, "PUT", "/things/a", "content")
		if h := do(s, "GET", "/things/a", "").Header(); h.Get("Cache-Control") != "" {
			t.Errorf("a new object has the old one's %v", h)
		}
	})
}

// Each object has one version, whose name is null, and can be deleted by it.
func TestVersions(t *testing.T) {
	s := open(t, "")
	expect(t, s, 200, "PUT", "/things", "")
	for _, key := range []string{"a", "b/1", "b/2", "c"} {
		expect(t, s, 200, "PUT", "/things/"+key, key)
	}
	is := expect(t, s, 200, "GET", "/things?versions&max-keys=2", "")
	if strings.Count(is, "<VersionId>null</VersionId>") != 2 || !strings.Contains(is, "<NextKeyMarker>b/1</NextKeyMarker>") || !strings.Contains(is, "<IsTruncated>true</IsTruncated>") {
		t.Error(is)
	}
	if is = expect(t, s, 200, "GET", "/things?versions&max-keys=2&key-marker=b/1&version-id-marker=null", ""); !strings.Contains(is, "<Key>b/2</Key>") || !strings.Contains(is, "<Key>c</Key>") || !strings.Contains(is, "<IsTruncated>false</IsTruncated>") {
		t.Error(is)
	}
	if is = expect(t, s, 200, "GET", "/things?versions&delimiter=/", ""); !strings.Contains(is, "<CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>") || strings.Contains(is, "b/1") {
		t.Error(is)
	}
	expect(t, s, 404, "GET", "/other?versions", "")
	expect(t, s, 400, "GET", "/things?versions&max-keys=x", "")
	expect(t, s, 204, "DELETE", "/things/a?versionId=null", "")
	expect(t, s, 404, "GET", "/things/a", "")
}

// A damaged setting is an error, and not one that is not there; the bucket can be deleted all the same.
func TestDamagedSetting(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	expect(t, s, 200, "PUT", "/things", "")
	expect(t, s, 204, "PUT", "/things?policy", `{"Version":"2012-10-17"}`)
	at := filepath.Join(dir, settingsDir, "things", "policy")
	body, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	body[len(body)-20]++
	if err := os.WriteFile(at, body, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, s, 500, "GET", "/things?policy", "")
	if _, faults, err := Check(t.Context(), dir); len(faults) != 1 || err != nil {
		t.Errorf("the check found %q, %v", faults, err)
	}
	expect(t, s, 204, "DELETE", "/things", "")
}
