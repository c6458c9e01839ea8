package bucket

import (
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const mine, theirs, servers = "111122223333", "444455556666", "000000000000"

// as makes a request of an account.
func as(s *Service, account, method, address, body string) (int, string) {
	r := httptest.NewRequest(method, address, strings.NewReader(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body))) // as net/http does
	w := httptest.NewRecorder()
	s.Serve(w, r, account)
	return w.Code, w.Body.String()
}

// A bucket is its maker's, over restarts and whether accounts were kept apart when it was made; one of an earlier release is the server's
// account's. When it is deleted its name is free for others, who find nothing of it.
func TestBucketsOfAccounts(t *testing.T) {
	dir := t.TempDir()
	apart := func(on bool) *Service {
		t.Helper()
		s, err := Open(Options{Dir: dir, Apart: on, Account: servers})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := apart(false)
	want := func(status int, account, method, address, body string) string {
		t.Helper()
		got, answer := as(s, account, method, address, body)
		if got != status {
			t.Errorf("%s %s of %s: %d, not %d: %s", method, address, account, got, status, answer)
		}
		return answer
	}
	want(200, mine, "PUT", "/things", "")
	want(200, theirs, "PUT", "/things/k", "by another, while accounts are not kept apart")
	if err := os.Mkdir(filepath.Join(dir, "objects", "old"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s = apart(true)
		want(200, mine, "GET", "/things/k", "")
		want(403, theirs, "GET", "/things/k", "")
		want(403, theirs, "GET", "/things", "")
		for _, key := range []string{"/", "//", "//k"} { // keys that begin with slashes, and no bucket that is made
			want(403, theirs, "PUT", "/things/"+key, "by another")
		}
		want(403, mine, "GET", "/old", "")
		want(200, servers, "GET", "/old", "")
		for account, names := range map[string][]string{mine: {"things"}, theirs: nil, servers: {"old"}} {
			answer := want(200, account, "GET", "/", "")
			for _, name := range []string{"things", "old"} {
				if strings.Contains(answer, "<Name>"+name+"<") != slices.Contains(names, name) {
					t.Errorf("%s lists %s", account, answer)
				}
			}
		}
	}
	want(204, mine, "PUT", "/things?policy", "{}")
	for _, setting := range []string{"millstream-owner", "policy"} {
		if status, answer := as(s, theirs, "GET", "/things?"+setting, ""); status != 403 {
			t.Errorf("?%s: %d %s", setting, status, answer)
		}
	}
	if _, answer := as(s, mine, "GET", "/things?millstream-owner", ""); strings.Contains(answer, mine) {
		t.Errorf("a request reaches the file of the owner: %s", answer)
	}
	if _, err := s.Get(t.Context(), theirs, "things", "k"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("an object for another: %v", err)
	}
	if is, err := s.Exists(theirs, "things"); is || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("another's bucket: %v, %v", is, err)
	}
	if is, err := s.Exists(mine, "things"); !is || err != nil {
		t.Errorf("its own bucket: %v, %v", is, err)
	}
	if err := s.Create(theirs, "things"); err == nil {
		t.Error("another's bucket was made again")
	}
	if err := s.Create(mine, "things"); err != nil {
		t.Errorf("its own bucket: %v", err)
	}
	want(204, mine, "DELETE", "/things/k", "")
	want(204, mine, "DELETE", "/things", "")
	want(200, theirs, "PUT", "/things", "")
	want(403, mine, "GET", "/things", "")
	want(404, theirs, "GET", "/things?policy", "")

	// Of many that make a bucket at once one gets it, and is its owner.
	var made sync.Map
	var group sync.WaitGroup
	accounts := []string{mine, theirs, servers, "777788889999"}
	for _, account := range accounts {
		group.Go(func() {
			if status, _ := as(s, account, "PUT", "/race", ""); status == 200 {
				made.Store(account, true)
			}
		})
	}
	group.Wait()
	for _, account := range accounts {
		_, has := made.Load(account)
		if status, _ := as(s, account, "GET", "/race", ""); (status == 200) != has {
			t.Errorf("%s made it: %v, and gets %d", account, has, status)
		}
	}
}
