package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/millstreamdb/millstream/internal/item"
)

// read returns what a source has as JSON, and why its rest was left.
func read(s Source, r io.Reader) (items []string, n int64, err error) {
	n, err = s.Read(r, func(it item.Item) error {
		items = append(items, string(it.AppendJSON(nil)))
		return nil
	})
	return items, n, err
}

func TestReading(t *testing.T) {
	json := Source{Format: "DYNAMODB_JSON"}
	csv := Source{Format: "CSV", Delimiter: ',', Types: map[string]item.Type{"n": item.N, "b": item.B}}
	long := strings.Repeat("x", MaxLine)
	for _, row := range []struct {
		s           Source
		text        string
		items, left string
	}{
		{json, "", "", ""},
		{json, " \n\n\t\n", "", ""},
		{json, `{"Item":{"a":{"S":"x"}}}`, `{"a":{"S":"x"}}`, ""},
		{json, `{"Item":{"a":{"S":"x"}}}{"Item":{"b":{"N":"1.0"}}}` + "\r\n" + `{"Item":{"c":{"BOOL":true}},"Metadata":{"x":[1]}}`, `{"a":{"S":"x"}} {"b":{"N":"1"}} {"c":{"BOOL":true}}`, ""},
		{json, `{"Item":{"a":{"S":"x"}}}` + "\n" + `{"Keys":{"a":{"S":"x"}}}` + "\n" + `{"Item":{"a":{"S":"y"}}}`, `{"a":{"S":"x"}}`, "line 2: there is no member Item"},
		{json, `[]`, "", "line 1: not an object"},
		{json, `{"Item":{"a":{"S":"x"}`, "", "line 1: malformed JSON"},
		{json, `{"Item":{"a":{"N":"x"}}}`, "", "line 1: "},
		{json, `{"Item":{"a":{"S":"` + long + `"}}}`, "", "a line has more than"},
		{csv, "", "", ""},
		{csv, "s,n,b\n", "", ""},
		{csv, "\ufeffs,n,b\nx,1.50,YmI=\n,,\n\"a\"\"b\nc\",-0,\n", `{"b":{"B":"YmI="},"n":{"N":"1.5"},"s":{"S":"x"}} {} {"n":{"N":"0"},"s":{"S":"a\"b\nc"}}`, ""},
		{csv, "s,n\nx,1\ny\n", `{"n":{"N":"1"},"s":{"S":"x"}}`, "wrong number of fields"},
		{csv, "s,n\nx,one\n", "", "line 2: n: "},
		{csv, "s,b\nx,?\n", "", "line 2: b: not base64"},
		{csv, "s,s\nx,y\n", "", "the header has \"s\""},
		{csv, "s\n\"123\" x\n", "", "line 2"},
		{csv, "s\n\xff\n", "", "line 2: s: not UTF-8"},
		{csv, "s\n\"" + long[:2*MaxRow], "", "a line has more than"},
		{Source{Format: "CSV", Delimiter: '\t', Header: []string{"a", "b"}}, "1\t2\n", `{"a":{"S":"1"},"b":{"S":"2"}}`, ""},
		{Source{Format: "DYNAMODB_JSON", Compression: "GZIP"}, "", "", ""},
		{Source{Format: "DYNAMODB_JSON", Compression: "GZIP"}, "{}", "", "not gzip"},
		{Source{Format: "DYNAMODB_JSON", Compression: "ZSTD"}, "{}{}{}", "", "decompress"},
	} {
		name := row.text[:min(40, len(row.text))]
		items, n, err := read(row.s, strings.NewReader(row.text))
		if got := strings.Join(items, " "); got != row.items {
			t.Errorf("%q: %s, want %s", name, got, row.items)
		}
		u, left := errors.AsType[*Unreadable](err)
		if left != (row.left != "") || left && !strings.Contains(u.Error(), row.left) {
			t.Errorf("%q: %v, want %s", name, err, row.left)
		}
		if err == nil && row.s.Compression == "" && n != int64(len(row.text)) {
			t.Errorf("%q: %d bytes", name, n)
		}
	}
}

// TestCutAndFailingSources: what is cut is told, and an error of the source is its own, not the content's.
func TestCutAndFailingSources(t *testing.T) {
	plain := strings.Repeat(`{"Item":{"a":{"S":"some text"}}}`+"\n", 1000)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write([]byte(plain))
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	failure := errors.New("the disk")
	for kind, body := range map[string][]byte{"GZIP": z.Bytes(), "ZSTD": e.EncodeAll([]byte(plain), nil), "NONE": []byte(plain)} {
		s := Source{Format: "DYNAMODB_JSON", Compression: kind}
		if items, n, err := read(s, bytes.NewReader(body)); len(items) != 1000 || n != int64(len(plain)) || err != nil {
			t.Errorf("%s: %d items, %d bytes, %v", kind, len(items), n, err)
		}
		cut := body[:len(body)-5]
		if _, _, err := read(s, bytes.NewReader(cut)); errors.As(err, new(*Unreadable)) != true {
			t.Errorf("%s, cut: %v", kind, err)
		}
		if _, _, err := read(s, io.MultiReader(bytes.NewReader(cut), failing{failure})); !errors.Is(err, failure) {
			t.Errorf("%s, failing: %v", kind, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestWriting: many items become several files, which are read back, and the same again when they are written again.
func TestWriting(t *testing.T) {
	write := func() (files []File, contents map[string][]byte) {
		contents = map[string][]byte{}
		w, err := NewWriter("an-id", func(name string, content []byte) error {
			contents[name] = bytes.Clone(content)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		random := uint64(1)
		for i := range 45 {
			b := make([]byte, 400<<10) // which does not compress
			for j := range b {
				random = random*6364136223846793005 + 1442695040888963407
				b[j] = byte(random >> 56)
			}
			if err := w.Add(item.NewItem([]item.Entry{{Name: "n", Value: item.String(fmt.Sprint(i))}, {Name: "b", Value: item.Binary(b)}})); err != nil {
				t.Fatal(err)
			}
		}
		files, n, err := w.Close()
		if err != nil || n != 45 {
			t.Fatal(n, err)
		}
		return files, contents
	}
	files, contents := write()
	if len(files) < 2 {
		t.Fatalf("%d files", len(files))
	}
	manifest, err := Manifest(files)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseManifest(manifest)
	if err != nil || len(parsed) != len(files) {
		t.Fatal(parsed, err)
	}
	seen := 0
	for _, f := range parsed {
		content := contents[f.Key]
		if Sum(content) != f.MD5Checksum || len(content) > MaxFileBytes {
			t.Errorf("%+v", f)
		}
		items, _, err := read(Source{Format: "DYNAMODB_JSON", Compression: "GZIP"}, bytes.NewReader(content))
		if err != nil || int64(len(items)) != f.ItemCount {
			t.Errorf("%d items, %v, %+v", len(items), err, f)
		}
		seen += len(items)
	}
	again, _ := write()
	if seen != 45 || again[0] != files[0] {
		t.Errorf("%d items, %+v and %+v", seen, again[0], files[0])
	}
	if _, err := ParseManifest([]byte("{}\n[")); err == nil {
		t.Error("a damaged manifest is read")
	}
}

func FuzzReading(f *testing.F) {
	f.Add([]byte(`{"Item":{"a":{"S":"x"}}}`+"\n"), uint8(0))
	f.Add([]byte("a,b\n1,\"2\"\n"), uint8(1))
	f.Fuzz(func(t *testing.T, content []byte, kind uint8) {
		s := Source{Format: []string{"DYNAMODB_JSON", "CSV"}[kind%2], Compression: []string{"NONE", "GZIP", "ZSTD"}[kind/2%3], Delimiter: ',', Types: map[string]item.Type{"a": item.N}}
		_, err := s.Read(bytes.NewReader(content), func(it item.Item) error {
			var r item.Reader
			r.Reset(it.AppendJSON(nil))
			if again, invalid, err := r.Item(); err != nil || invalid != nil || !bytes.Equal(again, it) {
				t.Errorf("%s is read back as %s: %v %v", it.AppendJSON(nil), again.AppendJSON(nil), invalid, err)
			}
			return nil
		})
		if err != nil && !errors.As(err, new(*Unreadable)) {
			t.Errorf("%T %v", err, err)
		}
	})
}
