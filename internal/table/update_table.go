package table

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
)

// UpdateTable changes settings, makes or removes an index, or turns the stream on or
// off. Its answer shows the table in between.
func (db *DB) UpdateTable(ctx context.Context, scope schema.Scope, r *request.UpdateTable) (*Description, error) {
	var desc *Description
	var ended *stream.Reshaping
	err := db.change(ctx, func(b *store.Batch, _ *store.Commit) (func(bool), error) {
		now := db.now().UnixMilli()
		t, e := db.forChange(scope, r.TableName, now)
		if e != nil {
			return nil, e
		}
		old := t.desc.Load()
		if e := old.def.checkFree(r, now); e != nil {
			return nil, e
		}
		next := *old
		next.def.settle(now)
		if e := db.updateSettings(&next.def, r, now); e != nil {
			return nil, e
		}
		change, err := db.changeIndexes(b, t, &next, r, old.def.Settings.PayPerRequest, now)
		if err != nil {
			return nil, err
		}
		if err := db.switchStream(b, &next, r, now); err != nil {
			return nil, err
		}
		shown := next
		next.def.settle(now)
		if err := putDefinition(b, &next.def); err != nil {
			return nil, err
		}
		if change == nil && r.Stream == nil {
			return func(applied bool) {
				if applied {
					t.desc.Store(&next)
					desc = describe(t, &shown, view{now, true})
				}
			}, nil
		}
		// From here until the swap no write may run: one that loaded the old
		// descriptor would land in a closed shard, leave no record, miss the new index,
		// or leave an entry in a range that is gone.
		t.lockExclusive()
		if change != nil {
			change(b)
		}
		if r.Stream != nil && !r.Stream.Enabled {
			var err error
			if ended, err = old.stream.Close(b); err != nil {
				t.mu.Unlock()
				return nil, err
			}
			for i := range t.parts {
				p := t.parts[i]
				b.Set(p.head, appendHead(nil, p.items, p.bytes))
			}
		}
		return func(applied bool) {
			defer t.mu.Unlock()
			if !applied {
				return
			}
			t.desc.Store(&next)
			if r.Stream != nil && r.Stream.Enabled {
				db.streams.Publish(next.stream)
			}
			desc = describe(t, &shown, view{now, true})
		}, nil
	})
	if err != nil {
		return nil, err
	}
	if ended != nil {
		ended.Durable()
	}
	db.fillSoon()
	return desc, nil
}

// switchStream turns the stream of next on or off.
func (db *DB) switchStream(b *store.Batch, next *descriptor, r *request.UpdateTable, now int64) error {
	if r.Stream == nil {
		return nil
	}
	switch {
	case r.Stream.Enabled && next.stream != nil:
		return awserr.StreamAlreadyEnabled(r.TableName)
	case !r.Stream.Enabled && next.stream == nil:
		return awserr.StreamNotEnabled(r.TableName)
	case r.Stream.Enabled:
		if err := db.addStream(b, next, r.Stream.View); err != nil {
			return err
		}
	default:
		next.stream, next.open, next.def.StreamID = nil, nil, 0
	}
	next.def.Passing = db.pass(now, statusUpdating, changeStream)
	return nil
}

// updateSettings changes what a table was asked to be.
func (db *DB) updateSettings(d *definition, r *request.UpdateTable, now int64) *awserr.Error {
	s := &d.Settings
	if e := db.updateUnits(d, r, now); e != nil {
		return e
	}
	if e := checkCaps(r.OnDemand, s.PayPerRequest, ""); e != nil {
		return e
	}
	if r.OnDemand != nil {
		s.OnDemand = withCaps(s.OnDemand, r.OnDemand)
	}
	if r.Warm != nil {
		was := s.warm()
		warm, e := raiseWarm(was, r.Warm, "table")
		if e != nil {
			return e
		}
		s.Warm = &warm
		d.Warming = db.pass(now, statusUpdating, "")
		d.Warming.Warm = &was
	}
	if r.DeletionProtection != nil {
		s.DeletionProtection = *r.DeletionProtection
	}
	if r.TableClass != "" {
		d.Passing = db.pass(now, statusUpdating, changeClass)
		d.Passing.Class = &shownClass{s.TableClass, s.ClassMS}
		if s.TableClass != r.TableClass && (s.TableClass != "" || r.TableClass != classStandard) {
			s.TableClass, s.ClassMS = r.TableClass, now
		} else {
			d.Passing.UntilMS = now // nothing changes
		}
	}
	if r.Encryption != nil {
		return db.updateEncryption(d, r.Encryption, now)
	}
	return nil
}

// updateUnits changes the billing mode and the provisioned throughput.
func (db *DB) updateUnits(d *definition, r *request.UpdateTable, now int64) *awserr.Error {
	s := &d.Settings
	if r.PayPerRequest == nil && r.Throughput == nil {
		return nil
	}
	wasOnDemand, wasWarm := s.PayPerRequest, s.warm()
	if r.PayPerRequest != nil && *r.PayPerRequest {
		d.Passing = db.pass(now, statusUpdating, changeBilling)
		if wasOnDemand {
			d.Passing.UntilMS = now // nothing changes
			return nil
		}
		s.PayPerRequest, s.PayPerRequestMS, s.Throughput, s.OnDemand = true, now, request.Throughput{}, nil
		s.keepWarm(wasWarm)
		return nil
	}
	switch {
	case r.PayPerRequest == nil && wasOnDemand:
		return awserr.ThroughputNotAllowed()
	case wasOnDemand:
		s.PayPerRequest, s.OnDemand = false, nil
		s.Throughput = *r.Throughput
		d.Passing = db.pass(now, statusUpdating, changeBilling)
		s.keepWarm(wasWarm)
		return nil
	case *r.Throughput == s.Throughput:
		return awserr.ThroughputUnchanged(s.Throughput.Read, s.Throughput.Write)
	}
	d.Passing = db.pass(now, statusUpdating, changeThroughput)
	was := s.Throughput
	d.Passing.Throughput, d.Passing.Decreases = &was, s.Changes.today(now)
	if e := s.Changes.note(was, *r.Throughput, now); e != nil {
		return e
	}
	s.Throughput = *r.Throughput
	s.keepWarm(wasWarm)
	return nil
}

// keepWarm notes the warm throughput before a change, which it never falls below.
func (s *settings) keepWarm(was request.Throughput) {
	warm := warmOf(&was, s.PayPerRequest, s.Throughput)
	s.Warm = &warm
}

// warm returns the table's warm throughput.
func (s *settings) warm() request.Throughput { return warmOf(s.Warm, s.PayPerRequest, s.Throughput) }

// updateEncryption changes the encryption, which is kept and shown.
func (db *DB) updateEncryption(d *definition, r *request.Encryption, now int64) *awserr.Error {
	was := d.Settings.Encryption
	on := was != nil && was.Enabled
	switch {
	case !r.Enabled && !on:
		return awserr.EncryptedByDefault()
	case on && r.Key != "" && r.Key == keyARN(d.Scope, was.Key):
		return awserr.EncryptedWithKey()
	}
	d.Encrypting = db.pass(now, statusUpdating, "")
	if on {
		d.Encrypting.Encryption = was
	}
	d.Settings.Encryption = r
	return nil
}

func sameEncryption(a, b *request.Encryption) bool { return b != nil && *a == *b }

// keyARN returns the ARN of a key that was named by its id, alias or ARN. Without a
// name it is AWS's own key for DynamoDB. There is no key service here: the ids of
// keys behind aliases are made of the aliases.
func keyARN(scope schema.Scope, key string) string {
	switch {
	case key == "":
		key = scope.ARN("kms", "alias/aws/dynamodb")
	case strings.HasPrefix(key, "alias/"):
		key = scope.ARN("kms", key)
	}
	switch {
	case strings.HasPrefix(key, scope.ARN("kms", "alias/")):
		return scope.ARN("kms", "key/"+uuid.NewSHA1(uuid.NameSpaceURL, []byte(key)).String())
	case arn.Is(key):
		return key
	}
	return scope.ARN("kms", "key/"+key)
}
