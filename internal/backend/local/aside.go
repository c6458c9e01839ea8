package local

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
)

// A record that is set aside is two rows. Its head, which changes, is under
//
//	SpaceAside, mapping id (16), 'h', key hash (8), shard id, 00, sequence number (16)
//
// and holds: version, kind (1), cause (1), since in ms (8), the record's time in ms (8), its
// ordinal (8), the length of its event (4), attempts (4), then the rest as JSON. Its event, which
// does not, is under
//
//	SpaceAside, mapping id (16), 'e', shard id, 00, sequence number (16)
//
// (events come in the order of a shard, and so are cheap to add): version, JSON as a function gets it.
const (
	asideVersion  = 1
	asideHeadSize = 3 + 3*8 + 2*4
	asideHead     = 'h'
	asideEvent    = 'e'
	// asideOldEvent is where events were once, under the key of the head with this in place of its letter.
	asideOldEvent = 'r'
)

// asideTexts is what of a head is JSON; fields are only ever added.
type asideTexts struct {
	Keys      string `json:"keys,omitempty"`
	Error     string `json:"error,omitempty"`
	Reason    string `json:"reason,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	Version   string `json:"version,omitempty"`
	Unhandled bool   `json:"unhandled,omitempty"`
	Function  string `json:"function,omitempty"`
	Group     string `json:"group,omitempty"` // decimal
	Trace     string `json:"trace,omitempty"` // X-Ray's header
}

var errAside = errors.New("local: what a mapping has set aside is damaged or was written by a newer release")

func asidePrefix(uuid [16]byte) []byte {
	return append([]byte{store.SpaceAside}, uuid[:]...)
}

func asideKey(uuid [16]byte, row byte, k lane.AsideKey) []byte {
	key := make([]byte, 0, 1+16+1+8+len(k.Shard)+1+seqnum.Size)
	key = append(append(key, asidePrefix(uuid)...), row)
	if row != asideEvent {
		key = binary.BigEndian.AppendUint64(key, k.Hash)
	}
	key = append(append(key, k.Shard...), 0)
	return k.Seq.Append(key)
}

// parseAsideKey reads what follows the row's letter.
func parseAsideKey(b []byte) (k lane.AsideKey, err error) {
	if len(b) < 8+1+seqnum.Size || b[len(b)-seqnum.Size-1] != 0 {
		return k, errAside
	}
	k.Hash = binary.BigEndian.Uint64(b)
	k.Shard = string(b[8 : len(b)-seqnum.Size-1])
	k.Seq = seqnum.FromBytes(b[len(b)-seqnum.Size:])
	return k, nil
}

func putAside(batch *store.Batch, uuid [16]byte, changes []lane.AsideChange) {
	for i := range changes {
		if c := &changes[i]; c.Put == nil {
			batch.Delete(asideKey(uuid, asideHead, c.Key))
		} else {
			batch.Set(asideKey(uuid, asideHead, c.Key), appendAsideHead(make([]byte, 0, asideHeadSize+64), c.Put))
		}
	}
	for i := range changes { // apart from the heads, one after the other
		switch c := &changes[i]; {
		case c.Put == nil:
			batch.Delete(asideKey(uuid, asideEvent, c.Key))
			batch.Delete(asideKey(uuid, asideOldEvent, c.Key))
		case c.Put.Event != nil:
			batch.Set(asideKey(uuid, asideEvent, c.Key), append([]byte{asideVersion}, c.Put.Event...))
		}
	}
}

func appendAsideHead(dst []byte, r *lane.SetAside) []byte {
	dst = append(dst, asideVersion, byte(r.Kind), byte(min(r.Cause, 255)))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Since))
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.Time))
	dst = binary.BigEndian.AppendUint64(dst, r.Ordinal)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Size))
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.Attempts))
	t := asideTexts{r.Keys, r.Error, string(r.Reason), r.RequestID, r.Version, r.Unhandled, r.Function, "", r.Trace}
	if !r.Group.IsZero() {
		t.Group = r.Group.String()
	}
	if t == (asideTexts{Keys: t.Keys, Trace: t.Trace}) { // most are, and no reflection is due to them
		dst = item.AppendJSONString(append(dst, `{"keys":`...), []byte(t.Keys))
		if t.Trace != "" {
			dst = item.AppendJSONString(append(dst, `,"trace":`...), []byte(t.Trace))
		}
		return append(dst, '}')
	}
	texts, err := json.Marshal(t)
	if err != nil {
		panic(err) // texts and a bool
	}
	return append(dst, texts...)
}

func decodeAsideHead(v []byte, r *lane.SetAside) error {
	if len(v) < asideHeadSize || v[0] != asideVersion {
		return errAside
	}
	var t asideTexts
	if err := json.Unmarshal(v[asideHeadSize:], &t); err != nil {
		return errAside
	}
	if t.Group != "" {
		var err error
		if r.Group, err = seqnum.Parse(t.Group); err != nil {
			return errAside
		}
	}
	r.Kind, r.Cause = lane.AsideKind(v[1]), int(v[2])
	if r.Kind < lane.Held || r.Kind > lane.Parked {
		return errAside
	}
	r.Since = int64(binary.BigEndian.Uint64(v[3:]))
	r.Time = int64(binary.BigEndian.Uint64(v[11:]))
	r.Ordinal = binary.BigEndian.Uint64(v[19:])
	r.Size = int(binary.BigEndian.Uint32(v[27:]))
	r.Attempts = int(binary.BigEndian.Uint32(v[31:]))
	r.Keys, r.Error, r.Reason, r.Function = t.Keys, t.Error, lane.DropReason(t.Reason), t.Function
	r.RequestID, r.Version, r.Unhandled, r.Trace = t.RequestID, t.Version, t.Unhandled, t.Trace
	return nil
}

// Aside implements backend.Backend. The engine asks for the events of rows that it knows to be
// stored; heads are durable because it waits.
func (b *Backend) Aside(ctx context.Context, uuid string, from lane.AsideKey, limit, maxBytes int, heads bool) ([]lane.SetAside, error) {
	raw, err := id(uuid)
	if err != nil {
		return nil, err
	}
	prefix := append(asidePrefix(raw), asideHead)
	it, err := b.store.NewIter(asideKey(raw, asideHead, from), store.PrefixEnd(prefix))
	if err != nil {
		return nil, err
	}
	var out []lane.SetAside
	size := 0
	for ok := it.First(); ok && len(out) < limit; ok = it.Next() {
		var r lane.SetAside
		v, err := it.Value()
		if err == nil {
			r.AsideKey, err = parseAsideKey(it.Key()[len(prefix):])
		}
		if err == nil {
			err = decodeAsideHead(v, &r)
		}
		if err != nil {
			_ = it.Close()
			return nil, err
		}
		if size += r.Size; !heads && len(out) > 0 && size > maxBytes {
			break
		}
		out = append(out, r)
	}
	if err := it.Close(); err != nil || heads {
		return out, errors.Join(err, b.store.Barrier(ctx))
	}
	whole := out[:0]
	for _, r := range out {
		v, found, err := b.store.Get(nil, asideKey(raw, asideEvent, r.AsideKey))
		if err == nil && !found {
			v, found, err = b.store.Get(nil, asideKey(raw, asideOldEvent, r.AsideKey))
		}
		switch {
		case err != nil:
			return nil, err
		case !found:
			continue // removed meanwhile
		case len(v) == 0 || v[0] != asideVersion:
			return nil, errAside
		}
		r.Event = v[1:]
		whole = append(whole, r)
	}
	return whole, nil
}
