package store_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/store"
)

func TestBatchIsAtomicAndOrdered(t *testing.T) {
	s := open(t, store.Options{FS: vfs.NewMem(), Dir: "data"})
	defer closeStore(t, s)
	for _, k := range []string{"a", "b", "c", "d"} {
		put(t, s, k, "old")
	}
	b := s.NewBatch()
	b.DeleteRange([]byte("b"), []byte("d"))
	b.Set([]byte("c"), []byte("new"))
	b.Delete([]byte("a"))
	b.Set([]byte("dropped"), nil)
	b.Delete([]byte("dropped"))
	if v, _ := get(t, s, "a"); v != "old" {
		t.Fatal("visible before Apply")
	}
	if err := s.Write(b); err != nil {
		t.Fatal(err)
	}
	b.Set([]byte("never"), nil)
	b.Reset()
	if err := s.Write(b); err != nil { // empty
		t.Fatal(err)
	}
	b.Close()
	if got, want := all(t, s, "a", "z"), "c=new d=old "; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// A key that was set once and is deleted by DeleteOnce is gone, whatever of it has been flushed and merged meanwhile; and it may be set again.
func TestDeleteOnce(t *testing.T) {
	s := open(t, store.Options{FS: vfs.NewMem(), Dir: "data"})
	defer closeStore(t, s)
	merge := func() {
		t.Helper()
		if err := s.CompactAll(); err != nil {
			t.Fatal(err)
		}
	}
	for name, merges := range map[string][3]bool{"in memory": {}, "flushed": {true}, "each": {true, true, true}, "at the end": {2: true}, "deleted and flushed": {1: true}} {
		t.Run(name, func(t *testing.T) {
			put(t, s, name, "first")
			if merges[0] {
				merge()
			}
			b := s.NewBatch()
			defer b.Close()
			b.DeleteOnce([]byte(name))
			b.Set([]byte(name), []byte("second")) // in the same batch
			if err := s.Write(b); err != nil {
				t.Fatal(err)
			}
			if merges[1] {
				merge()
			}
			if v, _ := get(t, s, name); v != "second" {
				t.Errorf("%q", v)
			}
			b.DeleteOnce([]byte(name))
			if err := s.Write(b); err != nil {
				t.Fatal(err)
			}
			if v, found := get(t, s, name); found {
				t.Errorf("%q is there", v)
			}
			if merges[2] {
				merge()
			}
			if v, found := get(t, s, name); found {
				t.Errorf("%q is there", v)
			}
		})
	}
	merge()
	if got := all(t, s, "a", "z"); got != "" {
		t.Errorf("left: %s", got)
	}
}

func all(t *testing.T, s *store.Store, lower, upper string) string {
	t.Helper()
	it, err := s.NewIter([]byte(lower), []byte(upper))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.Value()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s=%s ", it.Key(), v)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestIterWalksBothWaysAndSeesOneMoment(t *testing.T) {
	s := open(t, store.Options{FS: vfs.NewMem(), Dir: "data"})
	defer closeStore(t, s)
	for _, k := range []string{"a", "b", "c", "d", "e"} {
		put(t, s, k, k)
	}
	it, err := s.NewIter([]byte("b"), []byte("e"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "bb", "late")
	for _, step := range []struct {
		name string
		move func() bool
		want string // empty: the end
	}{
		{"First", it.First, "b"},
		{"Next", it.Next, "c"},
		{"Prev", it.Prev, "b"},
		{"Prev past the bound", it.Prev, ""},
		{"Last", it.Last, "d"},
		{"Next past the bound", it.Next, ""},
		{"SeekGE", func() bool { return it.SeekGE([]byte("bb")) }, "c"},
		{"SeekLT", func() bool { return it.SeekLT([]byte("c")) }, "b"},
		{"SeekLT below", func() bool { return it.SeekLT([]byte("b")) }, ""},
	} {
		ok := step.move()
		if ok != (step.want != "") || ok != it.Valid() {
			t.Fatalf("%s: %v", step.name, ok)
		}
		if ok && string(it.Key()) != step.want {
			t.Fatalf("%s: at %s, want %s", step.name, it.Key(), step.want)
		}
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
}

// Probe answers as Get does, for keys beside each other in memory and on disk.
func TestProbeIsGet(t *testing.T) {
	fs := vfs.NewMem()
	for life := range 3 { // an Open flushes what it found in the log
		s := open(t, store.Options{FS: fs, Dir: "data"})
		put(t, s, fmt.Sprintf("k%d", life), "v")
		put(t, s, "k1x", fmt.Sprint(life))
		if life == 2 {
			b := s.NewBatch()
			b.Delete([]byte("k0"))
			if err := s.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		for _, key := range []string{"a", "k", "k0", "k1", "k1x", "k1xx", "k2", "z"} {
			want, wantFound := get(t, s, key)
			got, found, err := s.Probe([]byte("pre"), []byte(key))
			if err != nil || found != wantFound || string(got) != "pre"+want {
				t.Errorf("life %d: %s: %q, %v, %v; want %q, %v", life, key, got, found, err, want, wantFound)
			}
		}
		p, err := s.NewProbes()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"z", "k1x", "k0", "a", "k2", "k1", "k1xx", "k", "k1"} { // in no order
			want, wantFound := get(t, s, key)
			got, found, err := p.Get([]byte("pre"), []byte(key))
			if err != nil || found != wantFound || string(got) != "pre"+want {
				t.Errorf("life %d: %s among others: %q, %v, %v; want %q, %v", life, key, got, found, err, want, wantFound)
			}
		}
		p.Close()
		p.Close()
		closeStore(t, s)
	}
}

func TestPrefixEnd(t *testing.T) {
	for p, want := range map[string]string{"": "", "a": "b", "a\xff": "b", "a\xff\xff": "b", "\xff": "", "a\x00": "a\x01"} {
		got := store.PrefixEnd([]byte(p))
		if string(got) != want || (want == "") != (got == nil) {
			t.Errorf("PrefixEnd(%q) = %q, want %q", p, got, want)
		}
	}
}
