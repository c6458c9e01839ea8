package table

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
)

// Resource policies are kept and given back; nothing is allowed or refused by them.
// Each is a row of its own, by the internal id of its table or stream.

const controlPolicy = 'p' // SpaceControl, 'p', internal id of a table or stream

// policy is a stored policy.
type policy struct {
	Revision int64  `json:"revision"` // the time of its change in ms since 1970, or later
	Document string `json:"document"`
}

// PolicyResult answers GetResourcePolicy with a policy and its revision, and the
// changes of policies with the revision alone.
type PolicyResult struct {
	Document string
	Revision string // empty: none was there
}

func policyKey(id uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{store.SpaceControl, controlPolicy}, id)
}

func (db *DB) readPolicy(id uint64) (*policy, error) {
	v, found, err := db.store.Get(nil, policyKey(id))
	if err != nil || !found {
		return nil, err
	}
	p := new(policy)
	if len(v) == 0 || v[0] != definitionVersion {
		return nil, fmt.Errorf("table: the policy of %d is damaged", id)
	}
	if err := json.Unmarshal(v[1:], p); err != nil {
		return nil, fmt.Errorf("table: the policy of %d is damaged: %w", id, err)
	}
	return p, nil
}

// putPolicy writes a policy that replaces another, nil for none.
func putPolicy(b *store.Batch, id uint64, old *policy, document string, now int64) (*policy, error) {
	p := &policy{Revision: now, Document: document}
	if old != nil {
		p.Revision = max(now, old.Revision+1)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	b.Set(policyKey(id), append([]byte{definitionVersion}, body...))
	return p, nil
}

func (p *policy) revision() string { return strconv.FormatInt(p.Revision, 10) }

// policyOf finds what a request is about: the internal id of a table, or of a stream,
// which outlives its table.
func (db *DB) policyOf(r *request.PolicyResource) (uint64, *awserr.Error) {
	if r.Stream != "" {
		if s := db.streams.Get(r.ARN); s != nil {
			return s.ID, nil
		}
		return 0, awserr.StreamOfTableNotFound(r.Stream, r.Table)
	}
	if t := db.find(r.Scope, r.Table); t != nil {
		return t.id, nil
	}
	return 0, awserr.TableNotFound(r.Table)
}

// checkRevision holds the policy that is there against the expected one.
func checkRevision(p *policy, expected string, r *request.PolicyResource) *awserr.Error {
	switch {
	case expected == "" || expected == request.NoPolicy && p == nil:
		return nil
	case p == nil:
		return awserr.PolicyNotFound(r.ARN)
	case expected == request.NoPolicy:
		return awserr.PolicyThere(r.Table, p.revision())
	case expected != p.revision():
		return awserr.PolicyRevisionDiffers(r.Table, expected, p.revision())
	}
	return nil
}

// PutResourcePolicy gives a table or stream a policy. The same one again changes
// nothing.
func (db *DB) PutResourcePolicy(ctx context.Context, scope schema.Scope, r *request.PutResourcePolicy) (*PolicyResult, error) {
	return db.changePolicy(ctx, scope, &r.PolicyResource, r.Expected, func(b *store.Batch, id uint64, old *policy) (*policy, error) {
		if old != nil && old.Document == r.Policy {
			return old, nil
		}
		return putPolicy(b, id, old, r.Policy, db.now().UnixMilli())
	})
}

// DeleteResourcePolicy removes the policy of a table or stream; that there is none is
// no error unless one is expected.
func (db *DB) DeleteResourcePolicy(ctx context.Context, scope schema.Scope, r *request.DeleteResourcePolicy) (*PolicyResult, error) {
	return db.changePolicy(ctx, scope, &r.PolicyResource, r.Expected, func(b *store.Batch, id uint64, old *policy) (*policy, error) {
		b.Delete(policyKey(id))
		return old, nil
	})
}

// changePolicy changes a policy and answers with the revision of what change returns.
func (db *DB) changePolicy(ctx context.Context, scope schema.Scope, r *request.PolicyResource, expected string, change func(*store.Batch, uint64, *policy) (*policy, error)) (*PolicyResult, error) {
	if e := r.Elsewhere(scope); e != nil {
		return nil, e
	}
	res := new(PolicyResult)
	err := db.change(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		if r.Stream == "" {
			if _, e := db.forChange(scope, r.Table, db.now().UnixMilli()); e != nil {
				return nil, e
			}
		}
		id, e := db.policyOf(r)
		if e != nil {
			return nil, e
		}
		old, err := db.readPolicy(id)
		if err != nil {
			return nil, err
		}
		if e := checkRevision(old, expected, r); e != nil {
			return nil, e
		}
		p, err := change(b, id, old)
		if err != nil {
			return nil, err
		}
		if p != nil {
			res.Revision = p.revision()
		}
		return func(bool) {}, nil
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// GetResourcePolicy returns the policy of a table or stream.
func (db *DB) GetResourcePolicy(ctx context.Context, scope schema.Scope, r *request.GetResourcePolicy) (*PolicyResult, error) {
	if e := r.Elsewhere(scope); e != nil {
		return nil, e
	}
	id, e := db.policyOf(&r.PolicyResource)
	if e != nil {
		return nil, db.whenDurable(ctx, e)
	}
	p, err := db.readPolicy(id)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, db.whenDurable(ctx, awserr.PolicyNotFound(r.ARN))
	}
	return &PolicyResult{Document: p.Document, Revision: p.revision()}, db.store.Barrier(ctx)
}

// dropStrayPolicies removes the policies of streams that have gone. It runs while the
// database is opened.
func (db *DB) dropStrayPolicies() error {
	known := map[uint64]bool{}
	for _, t := range *db.tables.Load() {
		known[t.id] = true
	}
	for _, s := range db.streams.All() {
		known[s.ID] = true
	}
	lower := []byte{store.SpaceControl, controlPolicy}
	it, err := db.store.NewIter(lower, store.PrefixEnd(lower))
	if err != nil {
		return err
	}
	defer it.Close()
	b := db.store.NewBatch()
	defer b.Close()
	stray := false
	for ok := it.First(); ok; ok = it.Next() {
		if k := it.Key(); len(k) == 10 && !known[binary.BigEndian.Uint64(k[2:])] {
			b.Delete(policyKey(binary.BigEndian.Uint64(k[2:])))
			stray = true
		}
	}
	if err := it.Close(); err != nil || !stray || db.store.ReadOnly() {
		return err
	}
	return db.store.Write(b)
}
