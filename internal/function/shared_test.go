package function

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// sharedFake keeps rows and code in memory.
type sharedFake struct {
	mu   sync.Mutex
	rows map[string]SharedRow
	code map[string][]byte
}

func newSharedFake() *sharedFake {
	return &sharedFake{rows: map[string]SharedRow{}, code: map[string][]byte{}}
}

func (f *sharedFake) All(context.Context) (all []SharedRow, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rows {
		all = append(all, r)
	}
	return all, nil
}

func (f *sharedFake) Put(_ context.Context, r SharedRow) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Version != f.rows[r.Key].Version {
		return 0, ErrStale
	}
	r.Version++
	f.rows[r.Key] = r
	return r.Version, nil
}

func (f *sharedFake) PutCode(_ context.Context, hash string, zip []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.code[hash] = zip
	return nil
}

func (f *sharedFake) Code(_ context.Context, hash string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.code[hash], nil
}

// told tells another service of all rows as they are now.
func (f *sharedFake) told(t *testing.T, s *Service) {
	t.Helper()
	all, _ := f.All(t.Context())
	for _, r := range all {
		if err := s.Told(r); err != nil {
			t.Fatal(err)
		}
	}
}

// A function that was deleted and made again before another node looks runs the new code there, its versions, too.
func TestVersionsOfAFunctionMadeAgain(t *testing.T) {
	t.Parallel()
	shared := newSharedFake()
	a, b := open(t, Options{Shared: shared}), open(t, Options{Shared: shared})
	made := func(code string) Configuration {
		t.Helper()
		create(t, a, createRequest("f", "provided.al2023", "h", script(t, code)))
		v, err := a.Publish(scope, "f", PublishRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	check := func(s *Service, want Configuration) {
		t.Helper()
		page, err := s.Versions(scope, "f", "", 0)
		if err != nil || len(page.Versions) != 2 || page.Versions[1].CodeSha256 != want.CodeSha256 {
			t.Errorf("the versions %+v, want the code %s; %v", page.Versions, want.CodeSha256, err)
		}
	}
	old := made("1")
	shared.told(t, b)
	check(b, old)
	v1 := b.lookup(scope, "f").version(1)
	if _, err := b.runner(v1); err != nil { // it has been called
		t.Fatal(err)
	}
	if err := a.Delete(scope, "f", ""); err != nil {
		t.Fatal(err)
	}
	now := made("2")
	shared.told(t, b)
	check(b, now)
	if _, err := b.runner(v1); err != errGone {
		t.Errorf("the old version's runner: %v", err)
	}
	b.retiring.Wait()
	gone := b.lookup(scope, "f").version(1).def.Load().CodeHash
	b.code.mu.Lock()
	defer b.code.mu.Unlock()
	for hash, n := range b.code.refs {
		if n > 0 && hash != gone {
			t.Errorf("the old code %s has %d references", hash, n)
		}
	}
}

// A layer that is published at one node is at the others, with its versions, policy and code, and functions there use it.
func TestLayersOfNodes(t *testing.T) {
	t.Parallel()
	shared := newSharedFake()
	a, b := open(t, Options{Shared: shared}), open(t, Options{Shared: shared})
	zip := script(t, "echo of the layer")
	for want := range 2 {
		v, err := a.PublishLayer(scope, "lib", LayerRequest{Content: CodeRequest{ZipFile: zip}})
		if err != nil || v.Version != want+1 {
			t.Fatal(v, err)
		}
	}
	if _, err := b.PublishLayer(scope, "lib", LayerRequest{Content: CodeRequest{ZipFile: zip}}); err == nil || !strings.Contains(err.Error(), "in progress") {
		t.Errorf("of a layer that another node has changed: %v", err)
	}
	if _, _, err := a.AddLayerPermission(scope, "lib", 2, PermissionRequest{StatementID: "all", Action: "lambda:GetLayerVersion", Principal: "*"}); err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteLayer(scope, "lib", 1); err != nil {
		t.Fatal(err)
	}
	shared.told(t, b)
	for name, s := range map[string]*Service{"told": b, "new": open(t, Options{Shared: shared})} {
		page, err := s.LayerVersions(scope, "lib", "", "", "", 0)
		if err != nil || len(page.LayerVersions) != 1 || page.LayerVersions[0].Version != 2 {
			t.Errorf("%s: %+v, %v", name, page, err)
		}
		if text, _, err := s.LayerPolicy(scope, "lib", 2); err != nil || !strings.Contains(text, "all") {
			t.Errorf("%s: %s, %v", name, text, err)
		}
	}
	r := createRequest("f", "provided.al2023", "h", script(t, "exit 1"))
	r.Layers = withLayers(scope.ARN("lambda", "layer:lib:2"))
	create(t, b, r)
	shared.told(t, a)
	for _, s := range []*Service{a, b} {
		d := s.lookup(scope, "f").def.Load()
		if err := s.bring(t.Context(), d.hashes()); err != nil || len(d.Layers) != 1 {
			t.Errorf("%+v, %v", d.Layers, err)
		}
		if text, err := os.ReadFile(filepath.Join(s.code.task(d.Layers[0].Hash), "bootstrap")); err != nil || !strings.Contains(string(text), "of the layer") {
			t.Errorf("the layer is %q, %v", text, err)
		}
	}
	v, err := b.PublishLayer(scope, "lib", LayerRequest{Content: CodeRequest{ZipFile: zip}})
	if err != nil || v.Version != 3 {
		t.Error(v, err)
	}
}

// lasting has versions of a row that was made anew be above those of the one before, which has gone.
type lasting struct {
	*sharedFake
	last uint64
}

func (f *lasting) Put(ctx context.Context, r SharedRow) (uint64, error) {
	v, err := f.sharedFake.Put(ctx, r)
	if err == nil && r.Version == 0 {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.last += 1000
		r.Version = f.last
		f.rows[r.Key] = r
		return f.last, nil
	}
	return v, err
}

// A function that was deleted is made anew also at a node that was not told yet that its row has gone. What is told late of that takes nothing away; and what is
// there again already is not replaced.
func TestAFunctionWhoseRowHasGone(t *testing.T) {
	t.Parallel()
	shared := &lasting{sharedFake: newSharedFake()}
	a, b := open(t, Options{Shared: shared}), open(t, Options{Shared: shared})
	make := func(s *Service) error {
		_, err := s.Create(scope, createRequest("f", "provided.al2023", "h", script(t, "1")))
		return err
	}
	key := sharedKey(scope, "f")
	gone := func() (version uint64) {
		t.Helper()
		if err := a.Delete(scope, "f", ""); err != nil {
			t.Fatal(err)
		}
		shared.told(t, b)
		shared.mu.Lock()
		defer shared.mu.Unlock()
		version = shared.rows[key].Version
		delete(shared.rows, key)
		return version
	}
	if err := make(a); err != nil {
		t.Fatal(err)
	}
	version := gone()
	if err := make(a); err != nil {
		t.Fatal("the node that has deleted it:", err)
	}
	if err := a.Told(SharedRow{Key: key, Version: version, Gone: true}); err != nil || a.lookup(scope, "f") == nil {
		t.Errorf("what is told late takes the new one away: %v", err)
	}
	if err := make(b); err == nil || !strings.Contains(err.Error(), "in progress") {
		t.Errorf("one that another node has made: %v", err)
	}
	shared.told(t, b)
	version = gone()
	if err := a.Told(SharedRow{Key: key, Version: version, Gone: true}); err != nil {
		t.Error(err)
	}
	if err := make(b); err != nil {
		t.Error("a node that was told that it was deleted:", err)
	}
}
