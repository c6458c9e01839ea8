package function

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/schema"
)

// Layers lie beside functions in a Shared, one row each with all versions. Keys of functions begin with a number.
const layerRows = "layer/"

type sharedLayer struct {
	Last     int             `json:"last"`
	Versions []*layerVersion `json:"versions"`
}

// keepLayer stores a version of a layer that comes or changes, and the last number that was given.
func (s *Service) keepLayer(l *layer, v *layerVersion, last int) error {
	switch {
	case s.rows.shared != nil:
		next := maps.Clone(l.versions)
		next[v.Version] = v
		return s.rows.replaceSharedLayer(v.Scope, v.Name, last, next)
	case last == l.last:
		return s.rows.putLayer(v)
	}
	return s.rows.putLayer(v, &layerVersion{Scope: v.Scope, Name: v.Name, Last: last})
}

// loseLayer removes a version.
func (s *Service) loseLayer(l *layer, v *layerVersion) error {
	if s.rows.shared == nil {
		return s.rows.removeLayer(v)
	}
	next := maps.Clone(l.versions)
	delete(next, v.Version)
	return s.rows.replaceSharedLayer(v.Scope, v.Name, l.last, next)
}

func (r rows) replaceSharedLayer(scope schema.Scope, name string, last int, versions map[int]*layerVersion) error {
	key := layerRows + sharedKey(scope, name)
	r.shared.mu.Lock()
	now := r.shared.rows[key].version
	r.shared.mu.Unlock()
	body := sharedLayer{Last: last, Versions: []*layerVersion{}}
	for _, n := range slices.Sorted(maps.Keys(versions)) {
		body.Versions = append(body.Versions, versions[n])
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if len(text) > maxShared {
		return awserr.LambdaInvalidParameter(fmt.Sprintf("The versions of the layer %s take %d bytes, and %d at most are kept%s: delete versions that are not used.", name, len(text), maxShared, whileShared))
	}
	ctx, cancel := context.WithTimeout(context.Background(), sharedWait)
	defer cancel()
	version, err := r.shared.Put(ctx, SharedRow{Key: key, Body: text, Version: now})
	if errors.Is(err, ErrStale) {
		return awserr.LambdaConflict("The operation cannot be performed at this time. An update is in progress for resource: " + scope.ARN("lambda", "layer:"+name))
	}
	if err == nil {
		r.shared.note(key, sharedFunction{version: version})
	}
	return err
}

// readSharedLayer decodes a row and notes it. fresh: it is newer than what was known.
func (r rows) readSharedLayer(row SharedRow) (l sharedLayer, fresh bool, err error) {
	r.shared.mu.Lock()
	known := r.shared.rows[row.Key].version
	r.shared.mu.Unlock()
	if row.Version <= known {
		return l, false, nil
	}
	if row.Body != nil {
		if err := json.Unmarshal(row.Body, &l); err != nil {
			return l, false, fmt.Errorf("function: decode %s: %w", row.Key, err)
		}
	}
	r.shared.note(row.Key, sharedFunction{version: row.Version})
	return l, true, nil
}

// toldLayer takes over what another node has changed of a layer.
func (s *Service) toldLayer(row SharedRow) error {
	s.layers.mu.Lock() // before the row is noted: what is changed here is changed with both
	defer s.layers.mu.Unlock()
	body, fresh, err := s.rows.readSharedLayer(row)
	if err != nil || !fresh {
		return err
	}
	s.installLayer(row.Key, body)
	return nil
}

// installLayer has a layer be as a row says. The lock of layers is held, or nobody else is there yet.
func (s *Service) installLayer(key string, body sharedLayer) {
	part := strings.SplitN(strings.TrimPrefix(key, layerRows), "/", 3)
	if len(part) != 3 {
		return
	}
	k := id{schema.Scope{Account: part[0], Region: part[1]}, part[2]}
	next := &layer{last: body.Last, versions: map[int]*layerVersion{}}
	for _, v := range body.Versions {
		next.versions[v.Version] = v
		s.code.acquire(v.CodeHash)
	}
	if old := s.layers.found[k]; old != nil {
		for _, v := range old.versions {
			s.code.release(v.CodeHash)
		}
	}
	s.layers.found[k] = next
}
