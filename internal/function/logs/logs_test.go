package logs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
)

var scope = schema.Scope{Account: "123456789012", Region: "eu-west-1"}

func openSink(t *testing.T, dir string, print func(Line)) *Sink {
	t.Helper()
	var each func([]Line)
	if print != nil {
		each = func(lines []Line) {
			for _, l := range lines {
				print(l)
			}
		}
	}
	s, err := Open(dir, time.Now, each)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func texts(lines []Line) string {
	var out []string
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return strings.Join(out, "|")
}

func TestLinesReachFileAndOutliveTheSink(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openSink(t, dir, nil)
		s.Log(scope, "f").Write([]byte("one"))
		s.Log(scope, "f").Write([]byte("two"))
		s.Log(scope, "g").Write([]byte("other"))
		time.Sleep(flushAfter)
		synctest.Wait()
		b, err := os.ReadFile(filepath.Join(dir, scope.Account, scope.Region, "f.log"))
		if err != nil {
			t.Fatal(err)
		}
		if want := "2000-01-01T00:00:00.000Z one\n2000-01-01T00:00:00.000Z two\n"; string(b) != want {
			t.Errorf("file %q, want %q", b, want)
		}
	})
	again := openSink(t, dir, nil)
	if got := texts(again.Recent(scope, "f", 10)); got != "one|two" {
		t.Errorf("after a restart: %s", got)
	}
	if got := texts(again.Recent(scope, "f", 1)); got != "two" {
		t.Errorf("the newest: %s", got)
	}
}

func TestAFunctionThatPrintsForEverIsBounded(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		notes := 0
		s := openSink(t, dir, func(l Line) {
			if strings.Contains(l.Text, "lines dropped: the function prints more than 256 KB a second]") {
				notes++
			}
		})
		l := s.Log(scope, "f")
		line := []byte(strings.Repeat("x", 1000))
		kept, second := 0, 0
		for range 100_000 {
			if l.Write(line) == 1 {
				kept++
			}
		}
		if most := burst / 1000; kept == 0 || kept > most {
			t.Errorf("%d lines kept at once, at most %d fit the burst", kept, most)
		}
		time.Sleep(time.Second)
		for range 100_000 {
			if l.Write(line) == 1 {
				second++
			}
		}
		if most := rate / 1000; second < most/2 || second > most {
			t.Errorf("%d lines kept in a second, want about %d", second, most)
		}
		if all := texts(s.Recent(scope, "f", 1e6)); notes != 1 || len(all) > maxRing {
			t.Errorf("%d bytes in memory, %d notes of what was dropped", len(all), notes)
		}
		for range 60 {
			time.Sleep(time.Second)
			for range 1100 {
				l.Write(line)
			}
		}
	})
	size := int64(0)
	for _, name := range []string{"f.log", "f.log.1"} {
		st, err := os.Stat(filepath.Join(dir, scope.Account, scope.Region, name))
		if err != nil {
			t.Fatal(err)
		}
		size += st.Size()
	}
	if size > 2*maxFile {
		t.Errorf("%d bytes of files", size)
	}
}

// An hour of a hundred functions that print all the time leaves two files each, and a part of each in memory: with the
// usual limits 1.6 GB and 25 MB at most. The files of this test are smaller, so that an hour fills them many times.
func TestAnHourOfAHundredFunctionsIsBounded(t *testing.T) {
	const functions, limit = 100, 64 << 10
	minutes := 60
	if testing.Short() {
		minutes = 6
	}
	dir := t.TempDir()
	memory, written := 0, 0
	synctest.Test(t, func(t *testing.T) {
		s := openSink(t, dir, nil)
		s.fileLimit = limit
		line := []byte(strings.Repeat("x", 400))
		for range minutes {
			for i := range functions {
				l := s.Log(scope, fmt.Sprint("f", i))
				for range 60 {
					if l.Write(line) != 1 {
						t.Fatal("a line was dropped")
					}
				}
				written += 60 * len(line)
			}
			time.Sleep(time.Minute)
		}
		for i := range functions {
			l := s.Log(scope, fmt.Sprint("f", i))
			l.mu.Lock()
			memory += l.ringLen
			if l.ringLen > maxRing || cap(l.buf) > 2*limit {
				t.Errorf("f%d holds %d bytes of lines, and room for %d that wait for the file", i, l.ringLen, cap(l.buf))
			}
			l.mu.Unlock()
		}
	})
	size, files := int64(0), 0
	entries, err := os.ReadDir(filepath.Join(dir, scope.Account, scope.Region))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		st, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if st.Size() > limit {
			t.Errorf("%s has %d bytes, more than %d", e.Name(), st.Size(), limit)
		}
		size += st.Size()
		files++
	}
	if files != 2*functions {
		t.Errorf("%d files of %d functions", files, functions)
	}
	t.Logf("%d functions in %d minutes: %d KB printed, %d KB in %d files, %d KB in memory", functions, minutes, written>>10, size>>10, files, memory>>10)
}

// What is removed is gone from memory and disk, and the log begins anew.
func TestRemove(t *testing.T) {
	dir := t.TempDir()
	s := openSink(t, dir, nil)
	s.fileLimit = 1 << 10
	for range 3 {
		s.Log(scope, "f").Write([]byte(strings.Repeat("x", 64<<10))) // fills the buffer, so it is written
	}
	s.Log(scope, "g").Write([]byte("other"))
	if err := s.Remove(scope, "f"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(scope, "none"); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, scope.Account, scope.Region, "f.*"))
	if err != nil || len(left) > 0 {
		t.Error(left, err)
	}
	if names := s.Functions(scope); !slices.Equal(names, []string{"g"}) {
		t.Errorf("those that have logged are %q", names)
	}
	s.Log(scope, "f").Write([]byte("new"))
	if got := texts(s.Recent(scope, "f", 10)) + " " + texts(s.Recent(scope, "g", 10)); got != "new other" {
		t.Errorf("the logs are %.100s", got)
	}
}

func TestLongLineIsCut(t *testing.T) {
	s := openSink(t, "", nil)
	s.Log(scope, "f").Write([]byte(strings.Repeat("x", 2*MaxLine)))
	if got := s.Recent(scope, "f", 1)[0].Text; len(got) > MaxLine+20 || !strings.HasSuffix(got, "x [line cut]") {
		t.Errorf("%d bytes", len(got))
	}
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var printed []string
		s := openSink(t, "", func(l Line) { printed = append(printed, l.Text) })
		ctx, cancel := context.WithCancel(t.Context())
		var one, all []string
		go s.Follow(ctx, scope, "f", 0, nil, func(l Line) bool { one = append(one, l.Text); return true })
		go s.Follow(ctx, scope, "", 0, nil, func(l Line) bool { all = append(all, l.Text); return len(all) < 3 })
		go s.Follow(ctx, schema.Scope{Account: "1"}, "", 0, nil, func(Line) bool { t.Error("another scope's line"); return false })
		synctest.Wait()
		for i := range 4 {
			s.Log(scope, "f").Write(fmt.Append(nil, "f", i))
			s.Log(scope, "g").Write(fmt.Append(nil, "g", i))
			synctest.Wait()
		}
		if got := strings.Join(one, " "); got != "f0 f1 f2 f3" {
			t.Errorf("follower of one: %s", got)
		}
		if got := strings.Join(all, " "); got != "f0 g0 f1" {
			t.Errorf("follower of all that stops at three: %s", got)
		}
		if len(printed) != 8 {
			t.Errorf("printed %v", printed)
		}
		cancel()
	})
}

func TestSlowFollowerIsToldWhatItMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSink(t, "", nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []string
		gate := make(chan struct{})
		go s.Follow(ctx, scope, "f", 0, nil, func(l Line) bool {
			<-gate
			got = append(got, l.Text)
			return true
		})
		synctest.Wait()
		for i := range followBuffer + 11 {
			s.Log(scope, "f").Write(fmt.Append(nil, i))
			synctest.Wait()
		}
		close(gate)
		synctest.Wait()
		if n := len(got); n != followBuffer+2 || got[1] != "[10 lines not shown: they came faster than they were read]" {
			t.Errorf("%d lines, the second is %q", n, got[1])
		}
	})
}

// TestFollowGoesOnFromWhatIsKept: the lines kept and the lines to come meet without
// a gap and without one twice, also over several functions.
func TestFollowGoesOnFromWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openSink(t, "", nil)
		s.Log(scope, "f").Write([]byte("1"))
		s.Log(scope, "g").Write([]byte("2"))
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		go s.Follow(ctx, scope, "", 10, func() { s.Log(scope, "f").Write([]byte("3")) }, func(l Line) bool {
			got = append(got, l.Text)
			return true
		})
		synctest.Wait()
		s.Log(scope, "g").Write([]byte("4"))
		synctest.Wait()
		cancel()
		synctest.Wait()
		if want := "1 2 3 4"; strings.Join(got, " ") != want {
			t.Errorf("followed %q, want %q", got, want)
		}
	})
}

// TestNamesThatAreNoFunctions: what a caller asks for must not become the path of a
// file elsewhere.
func TestNamesThatAreNoFunctions(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "secret.log")
	if err := os.WriteFile(outside, []byte("2026-01-01T00:00:00.000Z secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openSink(t, filepath.Join(dir, "logs"), nil)
	for _, name := range []string{"../../../secret", "..", "a/b", ".", "a b", strings.Repeat("x", 200)} {
		if got := s.Recent(scope, name, 10); len(got) != 0 {
			t.Errorf("%q shows %s", name, texts(got))
		}
	}
}

// A file that could not be written is written again as soon as it can be, and says what it lacks; memory has it all.
func TestFileThatFailsIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, scope.Account, scope.Region, "f.log")
	synctest.Test(t, func(t *testing.T) {
		s := openSink(t, dir, nil)
		write := func(texts ...string) {
			for _, text := range texts {
				s.Log(scope, "f").Write([]byte(text))
			}
			time.Sleep(flushAfter)
			synctest.Wait()
		}
		write("one")
		if err := os.Rename(name, name+".kept"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(name, 0o700); err != nil { // nothing can be written to that
			t.Fatal(err)
		}
		write("two", "three")
		write("four")
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name+".kept", name); err != nil {
			t.Fatal(err)
		}
		write("five")
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(string(b)) {
			lines = append(lines, strings.TrimSpace(line[len(timeFormat)+1:]))
		}
		if got, want := strings.Join(lines, "|"), "one|[3 lines are not in this file: it could not be written]|five"; got != want {
			t.Errorf("the file has %s, want %s", got, want)
		}
		if got := texts(s.Recent(scope, "f", 10)); got != "one|two|three|four|five" {
			t.Errorf("memory has %s", got)
		}
	})
}

// No file is open between two writes: a server with thousands of functions would run out of descriptors.
func TestNoFileStaysOpen(t *testing.T) {
	before, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here to count open files")
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openSink(t, dir, nil)
		for i := range 200 {
			s.Log(scope, fmt.Sprint("f", i)).Write([]byte("text"))
		}
		time.Sleep(flushAfter)
		synctest.Wait()
		after, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		if len(after) > len(before)+10 {
			t.Errorf("%d files are open, %d before", len(after), len(before))
		}
	})
}
