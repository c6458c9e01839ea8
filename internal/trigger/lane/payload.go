package lane

import (
	"strconv"
	"time"
)

// MaxPayload is the limit of an invocation's payload in bytes, counted over the
// whole document.
const MaxPayload = 6 * 1024 * 1024

const (
	payloadHead  = `{"Records":[`
	payloadTail  = `]}`
	payloadFrame = len(payloadHead) + len(payloadTail)
	// windowFrame bounds what a tumbling window adds beside its state; the ARN of a stream is
	// at most 320 bytes and a shard's id 65.
	windowFrame = 700
)

// Payload is the event of an invocation for records of a stream. It is allocated anew each time: the
// invoker may keep it for longer than the call (an HTTP transport may still be
// sending it when the invocation has timed out), so it cannot come from a pool.
func (a *Invoke) Payload(streamARN string) []byte {
	n := payloadFrame + max(len(a.Records)-1, 0)
	for _, r := range a.Records {
		n += len(r.Event())
	}
	if a.Window != nil {
		n += windowFrame + len(a.Window.State)
	}
	buf := make([]byte, 0, n)
	buf = append(buf, payloadHead...)
	for i, r := range a.Records {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = append(buf, r.Event()...)
	}
	if w := a.Window; w != nil {
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
	return append(buf, payloadTail...)
}
