package function

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Shared keeps definitions and code where other Services have them too, each on a node of its own. What one has changed the others are told
// by Told. A change of what another has changed meanwhile is refused.
type Shared interface {
	// All returns all rows, also those of functions that were deleted.
	All(ctx context.Context) ([]SharedRow, error)
	// Put stores a row in the place of the one with its version, and returns the new one. ErrStale: it has another.
	Put(ctx context.Context, r SharedRow) (version uint64, err error)
	// PutCode stores a package under its hash, and Code returns it.
	PutCode(ctx context.Context, hash string, zip []byte) error
	Code(ctx context.Context, hash string) ([]byte, error)
}

// SharedRow is a function with its versions.
type SharedRow struct {
	Key     string
	Body    []byte // JSON; nil: it was deleted
	Version uint64
	Gone    bool // there is no row any more: it had this version
}

// Packages are those that a row's function, or layer, names, by their hashes.
func (r SharedRow) Packages() (hashes []string, err error) {
	if r.Body == nil {
		return nil, nil
	}
	if strings.HasPrefix(r.Key, layerRows) {
		var l sharedLayer
		if err := json.Unmarshal(r.Body, &l); err != nil {
			return nil, fmt.Errorf("function: decode %s: %w", r.Key, err)
		}
		for _, v := range l.Versions {
			hashes = append(hashes, v.CodeHash)
		}
		return hashes, nil
	}
	var body sharedBody
	err = json.Unmarshal(r.Body, &body)
	for i := 0; i < len(body.Editions) && err == nil; i++ {
		d := &definition{}
		if err = json.Unmarshal(body.Editions[i], d); err == nil {
			hashes = append(hashes, d.hashes()...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("function: decode %s: %w", r.Key, err)
	}
	return hashes, nil
}

// ErrStale is the answer of a Shared whose row has changed.
var ErrStale = errors.New("function: another node has changed the function at the same time")

const (
	// maxShared is how large a row may become: an item has 400 KB.
	maxShared = 350_000
	// sharedWait bounds a call of the Shared.
	sharedWait = 30 * time.Second
	// whileShared ends the texts of what is refused.
	whileShared = " while the tables are at another endpoint (serve --tables)"
)

type sharedBody struct {
	Editions []json.RawMessage `json:"editions"`
}

// sharedRows are the rows as this node knows them.
type sharedRows struct {
	Shared
	mu   sync.Mutex
	rows map[string]sharedFunction
	// layers are those that were read with the functions, of which Open makes layers.
	layers []SharedRow
}

type sharedFunction struct {
	version  uint64
	editions map[int]*definition // by version; never changed
}

func newSharedRows(s Shared) *sharedRows {
	if s == nil {
		return nil
	}
	return &sharedRows{Shared: s, rows: map[string]sharedFunction{}}
}

func sharedKey(scope schema.Scope, name string) string {
	return scope.Account + "/" + scope.Region + "/" + name
}

// replace stores what becomes of one function when definitions go and others come.
func (r rows) replaceShared(gone, defs []*definition) error {
	d := append(slices.Clone(defs), gone...)[0]
	key := sharedKey(d.Scope, d.Name)
	r.shared.mu.Lock()
	now := r.shared.rows[key]
	r.shared.mu.Unlock()
	next := maps.Clone(now.editions)
	if next == nil {
		next = map[int]*definition{}
	}
	for _, d := range gone {
		delete(next, d.Version)
	}
	for _, d := range defs {
		next[d.Version] = d
	}
	row := SharedRow{Key: key, Version: now.version}
	if len(next) > 0 {
		var body sharedBody
		for _, n := range slices.Sorted(maps.Keys(next)) {
			text, err := r.encode(next[n])
			if err != nil {
				return err
			}
			body.Editions = append(body.Editions, text[1:])
		}
		var err error
		if row.Body, err = json.Marshal(body); err != nil {
			return err
		}
		if len(row.Body) > maxShared {
			return awserr.LambdaInvalidParameter(fmt.Sprintf("The settings of %s and its versions take %d bytes, and %d at most are kept%s: delete versions that are not used.", d.Name, len(row.Body), maxShared, whileShared))
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), sharedWait)
	defer cancel()
	version, err := r.shared.Put(ctx, row)
	if errors.Is(err, ErrStale) && now.version > 0 && len(now.editions) == 0 { // the row of what was deleted may have gone, which is not told at once
		row.Version = 0
		version, err = r.shared.Put(ctx, row)
	}
	if errors.Is(err, ErrStale) {
		return awserr.LambdaConflict("The operation cannot be performed at this time. An update is in progress for resource: " + d.arn())
	}
	if err != nil {
		return err
	}
	r.shared.note(key, sharedFunction{version, next})
	return nil
}

func (s *sharedRows) note(key string, f sharedFunction) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.version > s.rows[key].version {
		s.rows[key] = f
	}
}

// read decodes a row and notes it. fresh: it is newer than what was known.
func (r rows) readShared(row SharedRow) (f sharedFunction, fresh bool, err error) {
	r.shared.mu.Lock()
	known := r.shared.rows[row.Key].version
	if row.Gone { // the next row's versions are above this one's; what is known of it is not what a change is made on any more
		if known > row.Version { // it is there again
			r.shared.mu.Unlock()
			return f, false, nil
		}
		delete(r.shared.rows, row.Key)
		r.shared.mu.Unlock()
		return sharedFunction{}, true, nil
	}
	r.shared.mu.Unlock()
	if row.Version <= known {
		return f, false, nil
	}
	f = sharedFunction{version: row.Version, editions: map[int]*definition{}}
	if row.Body != nil {
		var body sharedBody
		if err := json.Unmarshal(row.Body, &body); err != nil {
			return f, false, fmt.Errorf("function: decode %s: %w", row.Key, err)
		}
		for _, text := range body.Editions {
			d := &definition{}
			err := json.Unmarshal(text, d)
			if err == nil {
				err = r.open(d)
			}
			if err != nil {
				return f, false, fmt.Errorf("function: decode %s: %w", row.Key, err)
			}
			f.editions[d.Version] = d
		}
	}
	r.shared.note(row.Key, f)
	return f, true, nil
}

// allShared returns all definitions, each function's before those of its versions.
func (r rows) allShared() (defs []*definition, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), sharedWait)
	defer cancel()
	all, err := r.shared.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range all {
		if strings.HasPrefix(row.Key, layerRows) {
			r.shared.layers = append(r.shared.layers, row)
			continue
		}
		f, _, err := r.readShared(row)
		if err != nil {
			return nil, err
		}
		for _, n := range slices.Sorted(maps.Keys(f.editions)) {
			defs = append(defs, f.editions[n])
		}
	}
	return defs, nil
}

// Told takes over what another node has changed. It returns once calls that begin run what is there now.
func (s *Service) Told(row SharedRow) error {
	if strings.HasPrefix(row.Key, layerRows) {
		return s.toldLayer(row)
	}
	s.control.Lock()
	defer s.control.Unlock()
	if s.ctx.Err() != nil {
		return nil
	}
	f, fresh, err := s.rows.readShared(row)
	if err != nil || !fresh {
		return err
	}
	latest := f.editions[0]
	if latest == nil {
		for _, live := range s.ofKey(row.Key) {
			d := live.def.Load()
			hashes := d.hashes()
			for _, e := range live.published() {
				hashes = append(hashes, e.def.Load().hashes()...)
			}
			s.forget(live)
			s.code.releaseAll(hashes)
			s.changed(d.Scope, d.Name)
		}
		return nil
	}
	var had []string
	live := s.lookup(latest.Scope, latest.Name)
	if live != nil {
		old := live.def.Load()
		if old.run != nil { // a Go function of this program comes first
			return nil
		}
		had = old.hashes()
	}
	s.code.acquireAll(latest.hashes())
	s.install(latest)
	s.code.releaseAll(had)
	live = s.lookup(latest.Scope, latest.Name)
	for _, n := range slices.Sorted(maps.Keys(f.editions)) {
		if n == 0 {
			continue
		}
		e := live.version(n)
		if e != nil && e.def.Load().Revision == f.editions[n].Revision {
			continue
		}
		s.code.acquireAll(f.editions[n].hashes())
		s.install(f.editions[n])
		if e != nil { // of a function that was deleted and made again
			s.end(e)
			s.code.releaseAll(e.def.Load().hashes())
		}
	}
	for _, e := range live.published() {
		if d := e.def.Load(); f.editions[d.Version] == nil {
			live.vmu.Lock()
			delete(live.versions, d.Version)
			live.vmu.Unlock()
			s.end(e)
			s.code.releaseAll(d.hashes())
		}
	}
	s.changed(latest.Scope, latest.Name)
	return nil
}

// ofKey returns the function of a row's key, if it is there.
func (s *Service) ofKey(key string) (found []*live) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, f := range s.functions {
		if sharedKey(id.scope, id.name) == key && f.def.Load().run == nil {
			found = append(found, f)
		}
	}
	return found
}

// share stores a package where the other nodes find it, before a definition names it.
func (s *Service) share(hash string, zip []byte) error {
	if s.rows.shared == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*sharedWait)
	defer cancel()
	return s.rows.shared.PutCode(ctx, hash, zip)
}

// bring reads the packages of a definition that this node does not have yet.
func (s *Service) bring(ctx context.Context, hashes []string) error {
	if s.rows.shared == nil {
		return nil
	}
	for _, hash := range hashes {
		if hash == "" {
			continue
		}
		if _, err := os.Stat(s.code.task(hash)); err == nil {
			continue
		}
		_, err, _ := s.bringing.Do(hash, func() (any, error) {
			ctx, cancel := context.WithTimeout(s.ctx, 10*sharedWait) // whoever asked first may leave
			defer cancel()
			zip, err := s.rows.shared.Code(ctx, hash)
			if err == nil && hashOf(zip) != hash {
				err = errors.New("it is not what its hash says")
			}
			if err != nil {
				return nil, err
			}
			if _, err = s.code.add(zip); err == nil {
				s.code.release(hash) // the definition has a reference, or nobody needs it any more
			}
			return nil, err
		})
		if err != nil {
			return cmp.Or(ctx.Err(), error(awserr.LambdaNotReady("its code could not be read from the tables' server: "+err.Error())))
		}
	}
	return nil
}

// refuseShared refuses what cannot be done over nodes yet.
func (s *Service) refuseShared(what string) error {
	if s.rows.shared == nil {
		return nil
	}
	return awserr.LambdaInvalidParameter(what + whileShared + ".")
}

// zipThere makes sure that a package is on this node.
func (s *Service) zipThere(ctx context.Context, hash string) {
	if _, err := os.Stat(filepath.Join(s.code.dir, hash, zipFile)); err != nil {
		_ = s.bring(ctx, []string{hash}) // else it is not found
	}
}
