package backup

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// flaky breaks off the first answers that it gives of contents.
type flaky struct {
	Place
	breaks atomic.Int64
}

func (f *flaky) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := f.Place.Get(ctx, name)
	if err != nil || !strings.HasPrefix(name, "objects/") || f.breaks.Add(-1) < 0 {
		return r, err
	}
	return &broken{r}, nil
}

type broken struct{ io.ReadCloser }

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:1])
	if err == nil {
		err = errCut
	}
	return n, err
}

// TestBrokenAnswers: a restore and a verification go on when an answer broke off, and end when all do; none of that is told as
// damage, which it says to remove.
func TestBrokenAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := folder(t.TempDir())
		m, _ := take(t, data(t, t.TempDir(), nil), p)
		for _, test := range []struct {
			breaks int64
			err    error
		}{{1, nil}, {3, nil}, {1 << 40, errCut}} {
			f := &flaky{Place: p}
			f.breaks.Store(test.breaks)
			if err := Restore(t.Context(), f, m, filepath.Join(t.TempDir(), "new"), Options{}); !errors.Is(err, test.err) {
				t.Errorf("restore with %d: %v", test.breaks, err)
			}
			f.breaks.Store(test.breaks)
			if faults, err := Verify(t.Context(), f, m, Options{}); len(faults) > 0 || !errors.Is(err, test.err) {
				t.Errorf("verify with %d: %v, %v", test.breaks, faults, err)
			}
		}
	})
}

// TestTwoRestores: of two restores into one folder at once at most one goes on.
func TestTwoRestores(t *testing.T) {
	p := folder(t.TempDir())
	m, _ := take(t, data(t, t.TempDir(), nil), p)
	to := filepath.Join(t.TempDir(), "new")
	begun, goOn, first := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() { first <- Restore(t.Context(), &held{Place: p, begun: begun, goOn: goOn}, m, to, Options{}) }()
	<-begun
	if _, err := claim(&Options{}, to, ""); err == nil || !strings.Contains(err.Error(), "another restore") {
		t.Error(err)
	}
	close(goOn)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	// The second had found the folder empty, and claims it when the first is over.
	if _, err := claim(&Options{}, to, ""); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(to, restoringFile)); err == nil {
		t.Error("the first one's folder does not open")
	}
}

// held says when the first content is asked for, and waits.
type held struct {
	Place
	begun, goOn chan struct{}
	said        atomic.Bool
}

func (h *held) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if !h.said.Swap(true) {
		close(h.begun)
	}
	<-h.goOn
	return h.Place.Get(ctx, name)
}

const idA, idB = "aaaaaaaa11112222", "bbbbbbbb11112222"

// TestClockAhead: a backup is newer than those that were made before it, whatever the clock says, and it is told.
func TestClockAhead(t *testing.T) {
	p := folder(t.TempDir())
	src := data(t, t.TempDir(), map[string]string{"DATABASE": idA + "\n"})
	early, _ := take(t, src, p)
	early.ID = time.Now().UTC().Add(24*time.Hour).Format(idTime) + "-ZZZZ"
	if err := early.put(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		var told []string
		m, _, err := Take(t.Context(), src, p, Options{Warn: func(err error) { told = append(told, err.Error()) }})
		if err != nil || len(told) != 1 || !strings.Contains(told[0], "clock") {
			t.Fatalf("%v, %q", err, told)
		}
		if newest, err := Find(t.Context(), p, ""); err != nil || newest.ID != m.ID {
			t.Errorf("%s, want %s: %v", newest.ID, m.ID, err)
		}
	}
}

// TestTwoServersInOnePlace: the second is refused, and no restore takes one's newest backup for the other's.
func TestTwoServersInOnePlace(t *testing.T) {
	p := folder(t.TempDir())
	a := data(t, t.TempDir(), map[string]string{"DATABASE": idA + "\n"})
	b := data(t, t.TempDir(), map[string]string{"DATABASE": idB + "\n"})
	first, _ := take(t, a, p)
	if m, err := Find(t.Context(), p, ""); err != nil || m.ID != first.ID || !strings.Contains(m.ID, "-aaaaaaaa-") {
		t.Fatal(m.ID, err)
	}
	if _, _, err := Take(t.Context(), b, p, Options{}); err == nil || !strings.Contains(err.Error(), "aaaaaaaa, and this one is bbbbbbbb") || !strings.Contains(err.Error(), "a place of its own") {
		t.Fatal(err)
	}
	if m, err := Find(t.Context(), p, ""); err != nil || m.ID != first.ID {
		t.Error(m.ID, err)
	}
	other := first // as an earlier release would have put it there
	other.ID = strings.Replace(first.ID, "-aaaaaaaa-", "-bbbbbbbb-", 1)
	if err := other.put(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if m, err := Find(t.Context(), p, ""); err == nil || !strings.Contains(err.Error(), "aaaaaaaa, bbbbbbbb") {
		t.Errorf("%s, %v", m.ID, err)
	}
	if m, err := Find(t.Context(), p, first.ID); err != nil || m.ID != first.ID {
		t.Error(m.ID, err)
	}
}

// TestOneManifestIsRead: a place with many backups costs no more than one with few.
func TestOneManifestIsRead(t *testing.T) {
	p := folder(t.TempDir())
	src := data(t, t.TempDir(), map[string]string{"DATABASE": idA + "\n"})
	for range 5 {
		take(t, src, p)
	}
	c := &counted{Place: p}
	if _, done := take(t, src, c); c.gets != 1 || done.Copied != 0 {
		t.Errorf("%d were read, %+v", c.gets, done)
	}
}

type counted struct {
	Place
	gets int
}

func (c *counted) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if strings.HasPrefix(name, basePath) {
		c.gets++
	}
	return c.Place.Get(ctx, name)
}

// TestMendedPackage: a package of code that was damaged when it was backed up is copied again once it is whole.
func TestMendedPackage(t *testing.T) {
	p := folder(t.TempDir())
	const sum = "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c" // of good
	name := "code/" + sum + "/package.zip"
	src := data(t, t.TempDir(), map[string]string{name: "evil"})
	take(t, src, p)
	data(t, string(src), map[string]string{name: "good"})
	m, _, err := Take(t.Context(), src, p, Options{Warn: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Files {
		if f.Name == name && f.Sum != sum {
			t.Error("the backup has the damaged package")
		}
	}
}

// TestDamagedTables: a table that is damaged in the folder is backed up as it is, which is told and stays known. Once it is whole it
// is copied again.
func TestDamagedTables(t *testing.T) {
	p := folder(t.TempDir())
	src := data(t, t.TempDir(), map[string]string{"frozen/table-x/000001.sst": "evil", "quarantined/q/000001.sst": "evil", "artifacts/objects/b/x.sst": "evil"})
	check := func(path string) (fault, err error) {
		text, err := os.ReadFile(path)
		if err == nil && string(text) == "evil" {
			fault = errors.New("a checksum")
		}
		return fault, err
	}
	for range 2 {
		var told []string
		m, _, err := Take(t.Context(), src, p, Options{Check: check, Warn: func(err error) { told = append(told, err.Error()) }})
		if err != nil || len(told) != 1 || !strings.Contains(told[0], "frozen/table-x/000001.sst is damaged") {
			t.Fatalf("%v, %q", err, told)
		}
		if m, err = Find(t.Context(), p, m.ID); err != nil || !m.Damaged || m.Doubts() != "damaged tables" {
			t.Errorf("%+v, %v", m, err)
		}
	}
	data(t, string(src), map[string]string{"frozen/table-x/000001.sst": "good"})
	if _, _, err := Take(t.Context(), src, p, Options{Check: func(string) (error, error) { return nil, errors.New("no descriptors") }}); err == nil { //nolint:staticcheck // the fault comes first
		t.Error("a table that could not be read is taken for whole or damaged")
	}
	if m, _, err := Take(t.Context(), src, p, Options{Check: check}); err != nil || m.Damaged {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestEmptyFolders: a bucket without objects is a folder without files, and is there after a restore.
func TestEmptyFolders(t *testing.T) {
	p := folder(t.TempDir())
	src := data(t, t.TempDir(), nil)
	for _, name := range []string{"artifacts/objects/empty", "artifacts/spool", ".hidden"} {
		if err := os.MkdirAll(filepath.Join(string(src), filepath.FromSlash(name)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m, _ := take(t, src, p)
	to := filepath.Join(t.TempDir(), "new")
	if err := Restore(t.Context(), p, m, to, Options{}); err != nil {
		t.Fatal(err)
	}
	if len(m.Folders) != 1 {
		t.Error(m.Folders)
	}
	if names, err := os.ReadDir(filepath.Join(to, "artifacts", "objects", "empty")); err != nil || len(names) > 0 {
		t.Error(names, err)
	}
	m.Folders = []string{"../elsewhere"}
	if err := Restore(t.Context(), p, m, filepath.Join(t.TempDir(), "new"), Options{}); err == nil || !strings.Contains(err.Error(), "cannot be one of a backup") {
		t.Error(err)
	}
}

// TestPutNew: of many who put one name at once one succeeds, and what is there stays.
func TestPutNew(t *testing.T) {
	places(t, func(t *testing.T, p Place) {
		const n = 8
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { errs[i] = p.PutNew(t.Context(), "chain/0", []byte{byte(i)}) })
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner < 0:
				winner = i
			case !errors.Is(err, ErrExists):
				t.Errorf("%d: %v", i, err)
			}
		}
		r, err := p.Get(t.Context(), "chain/0")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || winner < 0 || string(text) != string([]byte{byte(winner)}) {
			t.Errorf("%q is there, put by %d: %v", text, winner, err)
		}
		if names, err := p.List(t.Context(), "chain"); err != nil || len(names) != 1 {
			t.Error(names, err)
		}
	})
}
