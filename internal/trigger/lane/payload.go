package lane

import (
	"bytes"
	"strconv"
	"sync"
	"time"
)

// MaxPayload is the limit of an invocation's payload in bytes, counted over the
// whole document.
const MaxPayload = 6 * 1024 * 1024

const (
	payloadFrame = len(`{"Records":[]}`)
	// windowFrame bounds what a tumbling window adds beside its state; the ARN of a stream is
	// at most 320 bytes and a shard's id 65.
	windowFrame = 700
)

var (
	payloadHead  = []byte(`{"Records":[`)
	payloadComma = []byte(`,`)
	payloadTail  = []byte(`]}`)
)

// Payload is the event of an invocation for records of a stream. It is allocated anew each time: the
// invoker may keep it for longer than the call (an HTTP transport may still be
// sending it when the invocation has timed out), so it cannot come from a pool.
func (a *Invoke) Payload(streamARN string) []byte {
	parts := payloadParts.Get().(*[][]byte)
	p := append((*parts)[:0], payloadHead)
	for i, r := range a.Records {
		if i > 0 {
			p = append(p, payloadComma)
		}
		p = append(p, r.Event())
	}
	if a.Window != nil {
		p = append(p, a.windowTail(streamARN))
	} else {
		p = append(p, payloadTail)
	}
	event := bytes.Join(p, nil) // its room is not cleared first
	if len(p) <= maxPayloadParts {
		clear(p)
		*parts = p
		payloadParts.Put(parts)
	}
	return event
}

// payloadParts keeps the room for the parts of an event.
var payloadParts = sync.Pool{New: func() any { return new([][]byte) }}

// maxPayloadParts bounds the room that is kept, of three words each.
const maxPayloadParts = 2_100

// windowTail is what ends the event of a call of a tumbling window.
func (a *Invoke) windowTail(streamARN string) []byte {
	w := a.Window
	buf := make([]byte, 0, windowFrame+len(w.State))
	buf = append(buf, `],"window":{"start":"`...)
	buf = time.Unix(w.Start, 0).UTC().AppendFormat(buf, time.RFC3339)
	buf = append(buf, `","end":"`...)
	buf = time.Unix(w.End, 0).UTC().AppendFormat(buf, time.RFC3339)
	buf = append(buf, `"},"state":`...)
	buf = append(buf, w.State...)
	buf = append(buf, `,"shardId":"`...)
	buf = append(buf, a.Shard...)
	buf = append(buf, `","eventSourceARN":"`...)
	buf = append(buf, streamARN...)
	buf = append(buf, `","isFinalInvokeForWindow":`...)
	buf = strconv.AppendBool(buf, a.Final)
	buf = append(buf, `,"isWindowTerminatedEarly":`...)
	buf = strconv.AppendBool(buf, a.Early)
	return append(buf, '}')
}
