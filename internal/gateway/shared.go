package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/schema"
)

// Shared keeps APIs where other Services have them too, each on a node of its own. What one has changed the others are told by Told.
type Shared interface {
	// All returns all rows, also those of APIs that were deleted.
	All(ctx context.Context) ([]SharedRow, error)
	// Put stores a row in the place of the one with its version, and returns the new one. ErrStale: it has another.
	Put(ctx context.Context, r SharedRow) (version uint64, err error)
}

// SharedRow is an API.
type SharedRow struct {
	Key     string
	Body    []byte // JSON; nil: it was deleted
	Version uint64
	Gone    bool // there is no row any more: it had this version
}

// ErrStale is the answer of a Shared whose row has changed.
var ErrStale = errors.New("gateway: another node has changed the API at the same time")

const (
	// maxShared is how large a row may become: an item has 400 KB.
	maxShared = 350_000
	// sharedWait bounds a call of the Shared.
	sharedWait = 30 * time.Second
)

func sharedKey(scope schema.Scope, name string) string {
	return scope.Account + "/" + scope.Region + "/" + name
}

func (s *Service) writeShared(scope schema.Scope, name string, body []byte) error {
	if len(body) > maxShared {
		return &Error{Text: fmt.Sprintf("the API %s takes %d bytes, and nodes keep %d at most", name, len(body), maxShared)}
	}
	ctx, cancel := context.WithTimeout(context.Background(), sharedWait)
	defer cancel()
	key := sharedKey(scope, name)
	row := SharedRow{Key: key, Body: body, Version: s.versions[key]}
	version, err := s.opts.Shared.Put(ctx, row)
	if errors.Is(err, ErrStale) && row.Version > 0 && s.get(apiID(scope, name)) == nil { // the row of what was deleted may have gone, which is not told at once
		row.Version = 0
		version, err = s.opts.Shared.Put(ctx, row)
	}
	if errors.Is(err, ErrStale) {
		return &Error{Text: "another node has changed the API " + name + " at the same time: try again"}
	}
	if err == nil {
		s.versions[key] = version
	}
	return err
}

func (s *Service) openShared() error {
	ctx, cancel := context.WithTimeout(context.Background(), sharedWait)
	defer cancel()
	all, err := s.opts.Shared.All(ctx)
	if err != nil {
		return err
	}
	for _, row := range all {
		if err := s.Told(row); err != nil {
			return err
		}
	}
	return nil
}

// Told takes over what another node has changed. Requests that begin are answered by what is there now.
func (s *Service) Told(row SharedRow) error {
	parts := strings.SplitN(row.Key, "/", 3)
	if len(parts) != 3 {
		return fmt.Errorf("gateway: a row has the key %q", row.Key)
	}
	scope := schema.Scope{Account: parts[0], Region: parts[1]}
	s.control.Lock()
	defer s.control.Unlock()
	if known := s.versions[row.Key]; row.Version < known || row.Version == known && !row.Gone {
		return nil
	}
	var l *live
	if row.Body != nil {
		var api API
		err := json.Unmarshal(row.Body, &api)
		if err == nil {
			l, err = newLive(scope, api)
		}
		if err != nil {
			return fmt.Errorf("gateway: API %s: %w", parts[2], err)
		}
	}
	if s.versions[row.Key] = row.Version; row.Gone {
		delete(s.versions, row.Key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := apiID(scope, parts[2]); l == nil {
		delete(s.byID, id)
	} else {
		s.byID[id] = l
	}
	return nil
}
