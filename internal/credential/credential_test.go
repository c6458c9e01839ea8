package credential

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/seal"
	"github.com/millstreamdb/millstream/internal/store"
)

type world struct {
	now   time.Time
	alive map[string]bool
	fs    vfs.FS
	file  string
	store *store.Store
}

func newWorld(t *testing.T) *world {
	w := &world{now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), alive: map[string]bool{}, fs: vfs.NewMem(), file: filepath.Join(t.TempDir(), "secrets.key")}
	t.Cleanup(func() {
		if w.store != nil {
			_ = w.store.Close()
		}
	})
	return w
}

func (w *world) open(t *testing.T) *Service {
	t.Helper()
	if w.store != nil {
		if err := w.store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if w.store, err = store.Open(store.Options{FS: w.fs, Dir: "data", Durability: store.Sync}); err != nil {
		t.Fatal(err)
	}
	seals, err := seal.Open(w.file, false)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Store: w.store, Seals: seals, Now: func() time.Time { return w.now }, Alive: func(token string) bool { return w.alive[token] }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func find(s *Service, id, token string) (string, Reason) {
	key, caller, reason := s.Find(id, token, "20261129", "us-east-1", "dynamodb")
	if key == nil {
		return "", reason
	}
	return caller.Account, reason
}

// Keys, what is told of them, and sessions that were not over outlive a restart.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	s := w.open(t)
	if _, err := os.Stat(w.file); err == nil {
		t.Error("a file was made before there was a key")
	}
	a, _, err := s.Create("111122223333", "a", false)
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Second)
	b, _, err := s.Create("444455556666", "b", true)
	if err != nil {
		t.Fatal(err)
	}
	session, err := s.Session("111122223333", time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := s.Find(a.ID, "", "20261129", "us-east-1", "dynamodb")
	_, caller, _ := s.Find(b.ID, "", "20261129", "us-east-1", "dynamodb")
	s.Used(caller)
	if err := s.Disable(a.ID, true); err != nil {
		t.Fatal(err)
	}
	s = w.open(t)
	if account, reason := find(s, a.ID, ""); account != "" || reason != Unknown {
		t.Errorf("a disabled key: %s, %v", account, reason)
	}
	if err := s.Disable(a.ID, false); err != nil {
		t.Fatal(err)
	}
	if after, _, _ := s.Find(a.ID, "", "20261129", "us-east-1", "dynamodb"); after == nil || *after != *before {
		t.Error("its secret is another")
	}
	if account, _ := find(s, session.AccessKeyID, session.SessionToken); account != "111122223333" {
		t.Errorf("the session is %q's", account)
	}
	all := s.List()
	if len(all) != 2 || !all[0].Used.IsZero() || all[1].Used != w.now.Truncate(time.Hour) || !all[1].Operator || all[0].Sealed != nil {
		t.Errorf("%+v", all)
	}
	w.now = w.now.Add(time.Hour)
	if _, reason := find(s, session.AccessKeyID, session.SessionToken); reason != ExpiredOne {
		t.Errorf("an hour later: %v", reason)
	}
	if err := s.Delete(a.ID); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{s.Delete(a.ID), s.Disable(a.ID, true)} {
		if !errors.Is(err, ErrNoKey) {
			t.Error(err)
		}
	}
	if s = w.open(t); len(s.List()) != 1 {
		t.Errorf("%+v", s.List())
	}
}

// The credentials of a process are good while it is there.
func TestSessionOfAProcess(t *testing.T) {
	w := newWorld(t)
	s := w.open(t)
	session, err := s.Session("111122223333", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, reason := find(s, session.AccessKeyID, session.SessionToken); reason != ExpiredOne {
		t.Errorf("before its process: %v", reason)
	}
	w.alive[session.SessionToken] = true
	if account, _ := find(s, session.AccessKeyID, session.SessionToken); account != "111122223333" {
		t.Errorf("it is %q's", account)
	}
	for _, token := range []string{"", "millstream-", "millstream-x", session.SessionToken + "A", session.SessionToken[:len(session.SessionToken)-2], strings.Repeat("x", 5000)} {
		if account, reason := find(s, session.AccessKeyID, token); account != "" || reason != Unknown {
			t.Errorf("token %.30q: %s, %v", token, account, reason)
		}
	}
}

// A file that others can read, or that is none, is refused.
func TestKeyFile(t *testing.T) {
	w := newWorld(t)
	s := w.open(t)
	if _, _, err := s.Create("111122223333", "a", false); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(w.file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
	refused := func(want string) {
		t.Helper()
		if _, err := seal.Open(w.file, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := os.Chmod(w.file, 0o640); err != nil {
		t.Fatal(err)
	}
	refused("chmod 600")
	if err := os.WriteFile(w.file, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("is no key")
	for account, name := range map[string]string{"1": "x", "11112222333x": "x", "111122223333": strings.Repeat("x", 129), "111122223334": "a\nb"} {
		if _, _, err := s.Create(account, name, false); err == nil {
			t.Errorf("a key of %q called %q", account, name)
		}
	}
}

// What is remembered is bounded, whatever regions a stranger asks for.
func TestDerivedKeysAreBounded(t *testing.T) {
	w := newWorld(t)
	s := w.open(t)
	k, _, err := s.Create("111122223333", "a", false)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for part := range 4 {
		group.Go(func() {
			for i := range 3000 {
				if key, _, _ := s.Find(k.ID, "", "20261129", strings.Repeat("r", 1+i%32)+string(rune('a'+part))+time.Duration(i).String(), "dynamodb"); key == nil {
					t.Error("no key")
				}
			}
		})
	}
	group.Wait()
	n := 0
	s.derived.Range(func(any, any) bool { n++; return true })
	if n > maxDerived+8 {
		t.Errorf("%d signing keys are remembered", n)
	}
}

// A session of somebody's ends with what it was made with: the key is disabled, the process is gone, the time is over.
func TestSessionsEndWithTheirMaker(t *testing.T) {
	w := newWorld(t)
	s := w.open(t)
	k, _, err := s.Create("111122223333", "a", false)
	if err != nil {
		t.Fatal(err)
	}
	callerOf := func(id, token string) Caller {
		t.Helper()
		key, caller, reason := s.Find(id, token, "20261129", "us-east-1", "sts")
		if key == nil {
			t.Fatal(reason)
		}
		return caller
	}
	of := func(c Caller, lasts time.Duration) Session {
		t.Helper()
		made, err := s.SessionOf(c, lasts)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	first := of(callerOf(k.ID, ""), 12*time.Hour)
	second := of(callerOf(first.AccessKeyID, first.SessionToken), 12*time.Hour)
	if second.Expires != w.now.Add(time.Hour) {
		t.Errorf("a session of a session lasts until %s", second.Expires)
	}
	process, err := s.Session("111122223333", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	w.alive[process.SessionToken] = true
	third := of(callerOf(process.AccessKeyID, process.SessionToken), 12*time.Hour)
	fourth := of(callerOf(third.AccessKeyID, third.SessionToken), 12*time.Hour)
	good := func(what string, want bool, all ...Session) {
		t.Helper()
		for i, one := range all {
			if account, reason := find(s, one.AccessKeyID, one.SessionToken); (account != "") != want || s.Known(one.AccessKeyID, one.SessionToken, "", "", "") != want {
				t.Errorf("%s: session %d: %q, %v", what, i, account, reason)
			}
		}
	}
	good("at first", true, first, second, third, fourth)
	if err := s.Disable(k.ID, true); err != nil {
		t.Fatal(err)
	}
	good("their key is disabled", false, first, second)
	good("another's key is disabled", true, third, fourth)
	delete(w.alive, process.SessionToken)
	good("their process is gone", false, third, fourth)
	if err := s.Disable(k.ID, false); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(11*time.Hour + 59*time.Minute)
	last := of(callerOf(first.AccessKeyID, first.SessionToken), time.Hour)
	w.now = w.now.Add(time.Minute)
	good("the first has ended", false, first, last)
	if _, err := s.SessionOf(Caller{Account: "111122223333"}, time.Hour); err == nil {
		t.Error("nobody got a session")
	}
}

// A file that is not there is not made anew while keys lie sealed with it, and a server that verifies nothing opens all the same.
func TestKeyFileIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	s := w.open(t)
	k, _, err := s.Create("111122223333", "a", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(w.file, w.file+".away"); err != nil {
		t.Fatal(err)
	}
	s = w.open(t)
	session, err := s.Session("111122223333", time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	if account, _ := find(s, session.AccessKeyID, session.SessionToken); account == "" {
		t.Error("there are no sessions without the file")
	}
	if _, _, err := s.Create("111122223333", "b", false); err == nil || !strings.Contains(err.Error(), "bring it back") {
		t.Errorf("a second key: %v", err)
	}
	if _, err := os.Stat(w.file); err == nil {
		t.Error("the file was made anew")
	}
	if err := s.Delete(k.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Create("111122223333", "b", false); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(w.file, 0o644); err != nil {
		t.Fatal(err)
	}
	seals, err := seal.Open(w.file, true)
	if err != nil {
		t.Fatal(err)
	}
	lenient, err := Open(Options{Store: w.store, Seals: seals, Now: time.Now})
	if err != nil || lenient.Count() != 0 {
		t.Fatal(err)
	}
	if _, _, err := lenient.Create("111122223333", "c", false); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key with a file that others can read: %v", err)
	}
}
