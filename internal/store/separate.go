package store

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// separate has the engine store some key ranges in tables of their own. Where rows come in the order of their keys such a table overlaps no
// older one, and is handed from level to level as it is; rows that share a table with others are merged again with whatever the others overlap.
type separate struct {
	begin atomic.Pointer[func() [][]byte]
}

// maxApart bounds the tables that a flush makes for it: each is a file to be synced.
const maxApart = 32

// KeepApart has ranges of keys stored apart from each other from now on. begin is asked now and then where they begin, and may be asked by several
// goroutines at once; where it says too many, neighbours are together. What is stored so costs less to keep when it is written in the order of its keys.
func (s *Store) KeepApart(begin func() [][]byte) { s.separate.begin.Store(&begin) }

// fixed are where ranges begin that are always kept apart, whoever has the database open: recovery logs.
var fixed = [][]byte{{SpaceUndo}, {SpaceUndo + 1}}

// policy is the engine's SpanPolicyFunc: a table that begins with start ends before end.
func (a *separate) policy(start []byte) (_ pebble.SpanPolicy, end []byte, err error) {
	nearest := func(key []byte) {
		if bytes.Compare(key, start) > 0 && (end == nil || bytes.Compare(key, end) < 0) {
			end = key
		}
	}
	for _, key := range fixed {
		nearest(key)
	}
	if begin := a.begin.Load(); begin != nil {
		all := (*begin)()
		slices.SortFunc(all, bytes.Compare)
		for i := 0; i < len(all); i += (len(all) + maxApart - 1) / maxApart {
			nearest(all[i])
		}
	}
	return pebble.SpanPolicy{}, end, nil
}
