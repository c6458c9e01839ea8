package store

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// Probes is Probe for several keys, in any order, all as they were when it was made. It is used by one goroutine, and closed soon: it holds memory and files of the engine.
type Probes struct {
	s  *Store
	it *pebble.Iterator
}

// NewProbes makes one.
func (s *Store) NewProbes() (Probes, error) {
	if err := s.check(); err != nil {
		return Probes{}, err
	}
	it, err := s.db.NewIter(&probing)
	if err != nil {
		return Probes{}, readError("get", err)
	}
	return Probes{s, it}, nil
}

// Close lets go of the engine; a second one does nothing. What went wrong Get has told.
func (p *Probes) Close() {
	if p.it != nil {
		_ = p.it.Close()
		p.it = nil
	}
}

// Get is Store.Probe. After an error other keys can be asked for.
func (p *Probes) Get(dst, key []byte) (value []byte, found bool, err error) {
	before := len(dst)
	if found = p.it.SeekPrefixGE(key); found {
		var v []byte
		if v, err = p.it.ValueAndErr(); err == nil {
			dst = append(dst, v...)
		}
	}
	err = errors.Join(err, p.it.Error())
	if lost := p.s.lost(key); lost != nil {
		return dst[:before], false, lost
	}
	if err != nil {
		return p.s.getAround(dst[:before], key, err)
	}
	return dst, found, p.s.Err()
}
