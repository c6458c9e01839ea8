package stream

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trace"
)

// ViewType says what of an item its records carry.
type ViewType byte

// The view types; their numbers are stored and never change.
const (
	KeysOnly ViewType = iota + 1
	NewImage
	OldImage
	NewAndOldImages
)

var viewNames = [...]string{"", "KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"}

func (v ViewType) String() string { return viewNames[v] }

// ParseViewType reads AWS's name; ok is false for any other text.
func ParseViewType(s string) (v ViewType, ok bool) {
	for i := KeysOnly; i <= NewAndOldImages; i++ {
		if viewNames[i] == s {
			return i, true
		}
	}
	return 0, false
}

// EventName is what happened to the item.
type EventName byte

// The events; their numbers are stored and never change.
const (
	Insert EventName = iota
	Modify
	Remove
)

var eventNames = [...]string{"INSERT", "MODIFY", "REMOVE"}

func (e EventName) String() string { return eventNames[e] }

// Change is what one write did to one item. Old and New differ; one of them may
// be nil.
type Change struct {
	Keys, Old, New item.Item
	// KeyHash is a hash of the whole primary key.
	KeyHash uint64
	// Expired: the deletion was made by time to live.
	Expired bool
	// Cause is the depth of function-made writes that led here.
	Cause uint8
	// Trace is the span of the request; zero when it has none.
	Trace trace.ID
}

// Record layout, all integers big-endian. The key of the row is
//
//	SpaceLog, stream id (8), shard number (4), sequence number (16)
//
// and its value is this header, then the keys, the new and the old image, each
// in package item's binary form:
//
//	 0  version (1)
//	 1  event name, bits 0-1; bit 2: deleted by time to live
//	 2  cause depth
//	 3  view type
//	 4  time, ms since 1970 (8)
//	12  items in the partition after this write (8)
//	20  bytes in the partition after this write (8)
//	28  SizeBytes as the API shows it (4)
//	32  hash of the item's key (8)
//	40  length of the keys (4), of the new image (4), of the old image (4)
//
// Version 2 is version 1 with the trace of the request behind the images, in package trace's binary form.
const (
	recordVersion = 1
	tracedVersion = 2
	headerSize    = 52
	flagExpired   = 1 << 2
)

// Record is one change in a shard's log. Immutable once appended; shared by all
// readers.
type Record struct {
	stream *Stream
	shard  uint32 // its number
	seq    seqnum.Num
	value  []byte
	state  atomic.Uint32 // of event
	event  []byte        // Event, once state is rendered
}

// The states of a Record's event.
const (
	unrendered uint32 = iota
	storing           // by the one who was first
	rendered
)

// NewRecord builds the record of a change as the stream's view type asks. It
// takes no lock.
func (st *Stream) NewRecord(c Change) *Record {
	name := Modify
	switch {
	case c.Old == nil:
		name = Insert
	case c.New == nil:
		name = Remove
	}
	newImage, oldImage := c.New, c.Old
	if st.View != NewImage && st.View != NewAndOldImages {
		newImage = nil
	}
	if st.View != OldImage && st.View != NewAndOldImages {
		oldImage = nil
	}
	flags := byte(name)
	if c.Expired {
		flags |= flagExpired
	}
	traced := 0
	if !c.Trace.IsZero() {
		traced = trace.Size
	}
	v := make([]byte, headerSize, headerSize+len(c.Keys)+len(newImage)+len(oldImage)+traced)
	v[0] = recordVersion
	v[1] = flags
	v[2] = c.Cause
	v[3] = byte(st.View)
	size := c.Keys.Size()
	if newImage != nil {
		size += newImage.Size()
	}
	if oldImage != nil {
		size += oldImage.Size()
	}
	binary.BigEndian.PutUint32(v[28:], uint32(size))
	binary.BigEndian.PutUint64(v[32:], c.KeyHash)
	binary.BigEndian.PutUint32(v[40:], uint32(len(c.Keys)))
	binary.BigEndian.PutUint32(v[44:], uint32(len(newImage)))
	binary.BigEndian.PutUint32(v[48:], uint32(len(oldImage)))
	v = append(v, c.Keys...)
	v = append(v, newImage...)
	v = append(v, oldImage...)
	if traced > 0 {
		v[0] = tracedVersion
		v = c.Trace.AppendBinary(v)
	}
	return &Record{stream: st, value: v}
}

func (r *Record) stamp(shard uint32, seq seqnum.Num, ms, items, bytes int64) {
	r.shard, r.seq = shard, seq
	binary.BigEndian.PutUint64(r.value[4:], uint64(ms))
	binary.BigEndian.PutUint64(r.value[12:], uint64(items))
	binary.BigEndian.PutUint64(r.value[20:], uint64(bytes))
}

var errRecord = errors.New("stream: a record in the log is damaged")

// decode fills a zero record; it takes over value.
func (r *Record) decode(sh *Shard, seq seqnum.Num, value []byte) error {
	if len(value) < headerSize || (value[0] != recordVersion && value[0] != tracedVersion) || EventName(value[1]&3) > Remove ||
		value[3] < byte(KeysOnly) || value[3] > byte(NewAndOldImages) {
		return errRecord
	}
	r.stream, r.shard, r.seq, r.value = sh.stream, sh.No, seq, value
	k, n, o := r.lengths()
	whole := uint64(k) + uint64(n) + uint64(o) + headerSize
	if value[0] == tracedVersion {
		whole += trace.Size
	}
	if whole != uint64(len(value)) {
		return errRecord
	}
	return nil
}

func (r *Record) lengths() (keys, newImage, oldImage uint32) {
	return binary.BigEndian.Uint32(r.value[40:]), binary.BigEndian.Uint32(r.value[44:]), binary.BigEndian.Uint32(r.value[48:])
}

// Seq is the record's sequence number.
func (r *Record) Seq() seqnum.Num { return r.seq }

// Ordinal counts the records of the shard and its ancestors up to this one.
func (r *Record) Ordinal() uint64 { return r.seq.Lo }

// Name is INSERT, MODIFY or REMOVE.
func (r *Record) Name() EventName { return EventName(r.value[1] & 3) }

// Expired reports a deletion by time to live.
func (r *Record) Expired() bool { return r.value[1]&flagExpired != 0 }

// Cause is the depth of function-made writes that led to this record.
func (r *Record) Cause() int { return int(r.value[2]) }

// TraceHeader is X-Ray's header of the request that made the record; empty when it had none.
func (r *Record) TraceHeader() string {
	if r.value[0] != tracedVersion {
		return ""
	}
	return trace.FromBinary(r.value[len(r.value)-trace.Size:]).Header()
}

// Time is in milliseconds since 1970 and never decreases within a shard.
func (r *Record) Time() int64 { return int64(binary.BigEndian.Uint64(r.value[4:])) }

// KeyHash is a hash of the item's whole key.
func (r *Record) KeyHash() uint64 { return binary.BigEndian.Uint64(r.value[32:]) }

// SizeBytes is the size the API shows.
func (r *Record) SizeBytes() int { return int(binary.BigEndian.Uint32(r.value[28:])) }

// totals are the partition's item count and bytes after the write.
func (r *Record) totals() (items, bytes int64) {
	return int64(binary.BigEndian.Uint64(r.value[12:])), int64(binary.BigEndian.Uint64(r.value[20:]))
}

// Keys is the primary key.
func (r *Record) Keys() item.Item {
	k, _, _ := r.lengths()
	return r.part(0, k)
}

// New is the new image, nil when the record carries none.
func (r *Record) New() item.Item {
	k, n, _ := r.lengths()
	return r.part(k, n)
}

// Old is the old image, nil when the record carries none.
func (r *Record) Old() item.Item {
	k, n, o := r.lengths()
	return r.part(k+n, o)
}

func (r *Record) part(from, n uint32) item.Item {
	if n == 0 {
		return nil
	}
	from += headerSize
	return item.Item(r.value[from : from+n : from+n])
}

// Event is the record as a Lambda event carries it; rendered at most once for
// all its readers (twice when two race). Shared: do not change it.
func (r *Record) Event() []byte {
	if r.state.Load() == rendered {
		return r.event
	}
	s := scratches.Get().(*scratch)
	s.b = r.appendJSON(s.b[:0], lambdaForm)
	event := bytes.Clone(s.b) // it may be held for long, and has no room to spare
	if cap(s.b) <= maxScratch {
		scratches.Put(s)
	}
	if r.state.CompareAndSwap(unrendered, storing) {
		r.event = event
		r.state.Store(rendered)
	}
	return event
}

// scratch is what an event is rendered into.
type scratch struct{ b []byte }

var scratches = sync.Pool{New: func() any { return &scratch{make([]byte, 0, 4<<10)} }}

// maxScratch bounds the room that is kept for the next event.
const maxScratch = 64 << 10

// EventSize is the length of Event.
func (r *Record) EventSize() int { return len(r.Event()) }

// AppendJSON appends the record as GetRecords shows it.
func (r *Record) AppendJSON(dst []byte) []byte { return r.appendJSON(dst, apiForm) }

type form byte

const (
	apiForm form = iota
	lambdaForm
)

// appendJSON renders the record. The two forms differ in the case of
// userIdentity's members, in how the creation time is written, and in
// eventSourceARN, which only Lambda adds.
func (r *Record) appendJSON(dst []byte, f form) []byte {
	st := r.stream
	dst = append(dst, `{"eventID":"`...)
	dst = r.appendEventID(dst)
	dst = append(dst, `","eventName":"`...)
	dst = append(dst, r.Name().String()...)
	dst = append(dst, st.eventMiddle...)
	dst = strconv.AppendUint(dst, uint64(r.Time()/1000), 10)
	if f == lambdaForm {
		dst = append(dst, `.0,"Keys":`...)
	} else {
		dst = append(dst, `,"Keys":`...)
	}
	dst = r.Keys().AppendJSON(dst)
	if it := r.New(); it != nil {
		dst = append(dst, `,"NewImage":`...)
		dst = it.AppendHashedJSON(dst)
	}
	if it := r.Old(); it != nil {
		dst = append(dst, `,"OldImage":`...)
		dst = it.AppendHashedJSON(dst)
	}
	dst = append(dst, `,"SequenceNumber":"`...)
	dst = r.seq.AppendDecimal(dst)
	dst = append(dst, `","SizeBytes":`...)
	dst = strconv.AppendUint(dst, uint64(r.SizeBytes()), 10)
	dst = append(dst, `,"StreamViewType":"`...)
	dst = append(dst, ViewType(r.value[3]).String()...)
	dst = append(dst, `"}`...)
	if r.Expired() {
		if f == lambdaForm {
			dst = append(dst, `,"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"}`...)
		} else {
			dst = append(dst, `,"userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"}`...)
		}
	}
	if f == lambdaForm {
		return append(dst, st.eventEnd...)
	}
	return append(dst, '}')
}

// appendEventID appends 32 hexadecimal digits that only this record has: a hash
// of the database, the stream, the shard and the number.
func (r *Record) appendEventID(dst []byte) []byte {
	var b [36]byte
	binary.BigEndian.PutUint64(b[:], r.stream.arnHash)
	r.seq.Put(b[8:])
	binary.BigEndian.PutUint32(b[24:], r.shard)
	copy(b[28:], r.stream.arnSalt[:])
	h1 := xxhash.Sum64(b[:])
	b[35] ^= 0xff
	h2 := xxhash.Sum64(b[:])
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], h1)
	binary.BigEndian.PutUint64(id[8:], h2)
	return hex.AppendEncode(dst, id[:])
}
