package queue

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Message is a message as it was sent.
type Message struct {
	ID     [16]byte
	Body   string
	MD5    [md5.Size]byte // of the body
	SentMS int64          // since 1970
	// DueMS is when it was first to be visible.
	DueMS  int64
	Sender string // account
	Group  string
	Dedup  string
	Trace  string // AWSTraceHeader
	Source string // ARN of the queue from which it came to this dead-letter queue
	// Earlier is how often it was received before it came to this dead-letter queue.
	Earlier    uint32
	Attributes []Attribute
}

// Attribute is a message attribute.
type Attribute struct {
	Name, Type, Value string
	Binary            bool // Value is bytes
}

// IDText is the message's id as clients see it, a UUID.
func (m *Message) IDText() string {
	h := hex.EncodeToString(m.ID[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// MD5Text is the digest of the body in hexadecimal.
func (m *Message) MD5Text() string { return hex.EncodeToString(m.MD5[:]) }

// AttributesMD5 is SQS's digest of attributes, in hexadecimal; empty when there are none.
func AttributesMD5(attributes []Attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	sorted := slices.Clone(attributes)
	slices.SortFunc(sorted, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
	var b []byte
	put := func(s string) { b = append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...) }
	for _, a := range sorted {
		put(a.Name)
		put(a.Type)
		kind := byte(1)
		if a.Binary {
			kind = 2
		}
		b = append(b, kind)
		put(a.Value)
	}
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// size is what counts against the limit of a message: the body, and the names, types and values of its attributes.
func (m *Message) size() int {
	n := len(m.Body)
	for _, a := range m.Attributes {
		n += len(a.Name) + len(a.Type) + len(a.Value)
	}
	return n
}

// SequenceText is the SequenceNumber of a message of a FIFO queue: always 20 digits, so that they rise as texts too.
func SequenceText(seq uint64) string {
	const low = 1e16
	return fmt.Sprintf("%d%016d", 1885+seq/low, seq%low)
}

// Versions of a message's row: the second has Earlier.
const (
	messageVersion = 1
	countedVersion = 2
)

// encode appends the row of a message: version, times, id and digest; then texts with their lengths; then the body.
func (m *Message) encode(dst []byte) []byte {
	version := byte(messageVersion)
	if m.Earlier > 0 {
		version = countedVersion
	}
	dst = append(dst, version)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.SentMS))
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.DueMS))
	dst = append(dst, m.ID[:]...)
	dst = append(dst, m.MD5[:]...)
	put := func(s string) { dst = append(binary.AppendUvarint(dst, uint64(len(s))), s...) }
	for _, s := range []string{m.Sender, m.Group, m.Dedup, m.Trace, m.Source} {
		put(s)
	}
	if m.Earlier > 0 {
		dst = binary.AppendUvarint(dst, uint64(m.Earlier))
	}
	dst = binary.AppendUvarint(dst, uint64(len(m.Attributes)))
	for _, a := range m.Attributes {
		kind := byte(0)
		if a.Binary {
			kind = 1
		}
		dst = append(dst, kind)
		put(a.Name)
		put(a.Type)
		put(a.Value)
	}
	return append(dst, m.Body...)
}

var errMessageRow = errors.New("queue: a message cannot be read: it is damaged, or was written by a newer release")

// times reads the head of a message's row.
func times(row []byte) (sentMS, dueMS int64, err error) {
	if len(row) < 49 || row[0] != messageVersion && row[0] != countedVersion {
		return 0, 0, errMessageRow
	}
	return int64(binary.BigEndian.Uint64(row[1:])), int64(binary.BigEndian.Uint64(row[9:])), nil
}

// heading reads what a sweep has to know of a message's row.
func heading(row []byte) (sentMS, dueMS int64, group string, err error) {
	if sentMS, dueMS, err = times(row); err != nil {
		return 0, 0, "", err
	}
	r := reader{row[49:]}
	_ = r.text() // the sender
	if group = r.text(); r.b == nil {
		err = errMessageRow
	}
	return sentMS, dueMS, group, err
}

// decodeMessage reads a row. The message keeps nothing of it.
func decodeMessage(row []byte) (*Message, error) {
	m := &Message{}
	var err error
	if m.SentMS, m.DueMS, err = times(row); err != nil {
		return nil, err
	}
	copy(m.ID[:], row[17:])
	copy(m.MD5[:], row[33:])
	r := reader{row[49:]}
	for _, s := range []*string{&m.Sender, &m.Group, &m.Dedup, &m.Trace, &m.Source} {
		*s = r.text()
	}
	if row[0] == countedVersion {
		m.Earlier = uint32(r.number())
	}
	n := r.number()
	if n > uint64(len(row)) {
		return nil, errMessageRow
	}
	for range n {
		if len(r.b) == 0 {
			return nil, errMessageRow
		}
		a := Attribute{Binary: r.b[0] == 1}
		r.b = r.b[1:]
		a.Name, a.Type, a.Value = r.text(), r.text(), r.text()
		m.Attributes = append(m.Attributes, a)
	}
	if r.b == nil {
		return nil, errMessageRow
	}
	m.Body = string(r.b)
	return m, nil
}

// reader takes texts off a row; b is nil once the row was too short.
type reader struct{ b []byte }

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.b = nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) text() string {
	n := r.number()
	if r.b == nil || n > uint64(len(r.b)) {
		r.b = nil
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

// handle is a receipt handle: which delivery of which message of which queue.
type handle struct{ queue, seq, nonce uint64 }

const handleVersion = 1

func (h handle) String() string {
	b := append(make([]byte, 0, 27), handleVersion)
	for _, n := range []uint64{h.queue, h.seq, h.nonce} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return base64.StdEncoding.EncodeToString(append(b, 'M', 'Q')) // 27 bytes: no padding
}

func parseHandle(s string) (handle, bool) {
	if len(s) != 36 {
		return handle{}, false
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || b[0] != handleVersion || b[25] != 'M' || b[26] != 'Q' {
		return handle{}, false
	}
	return handle{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:]), binary.BigEndian.Uint64(b[17:])}, true
}

// Received is a message that was delivered.
type Received struct {
	*Message
	Handle string
	// Count is how often it was received from this queue, this time included.
	Count int
	// FirstMS is when it was received first, DueMS when its visibility timeout ends.
	FirstMS, DueMS int64
	Seq            uint64
	fifo           bool
}

// SystemAttributes are the attributes that SQS itself gives a message, by ascending name, as they are when it is received.
func (r *Received) SystemAttributes() [][2]string {
	var all [][2]string
	add := func(name, value string) {
		if value != "" {
			all = append(all, [2]string{name, value})
		}
	}
	add("AWSTraceHeader", r.Trace)
	add("ApproximateFirstReceiveTimestamp", strconv.FormatInt(r.FirstMS, 10))
	add("ApproximateReceiveCount", strconv.Itoa(int(r.Earlier)+r.Count))
	add("DeadLetterQueueSourceArn", r.Source)
	add("MessageDeduplicationId", r.Dedup)
	add("MessageGroupId", r.Group)
	add("SenderId", r.Sender)
	add("SentTimestamp", strconv.FormatInt(r.SentMS, 10))
	if r.fifo {
		add("SequenceNumber", SequenceText(r.Seq))
	}
	return all
}
