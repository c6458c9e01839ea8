package stream

import "bytes"

// room is where the records of one page that is read from the store lie, and their events: one allocation, a piece, has
// some of them. A piece is in memory for as long as one of its records is held, so it is small, and what is large lies
// alone.
type room struct {
	records []Record // the free part of the newest piece
	bytes   []byte   // likewise
	event   int      // length of the newest event
}

type piece struct {
	records [8]Record
	bytes   [pieceBytes]byte
}

const (
	pieceBytes = 4032           // with the records, what the runtime has a size for
	aloneBytes = pieceBytes / 4 // above it, a value or an event lies alone
)

// record returns a zero Record, and a copy of its value.
func (m *room) record(value []byte) (*Record, []byte) {
	n := len(value)
	if n > aloneBytes {
		return new(Record), bytes.Clone(value)
	}
	room := n
	if m.event <= aloneBytes {
		room += m.event // its event is likely as long as the one before, and is to lie beside it
	}
	if len(m.records) == 0 || room > len(m.bytes) {
		p := new(piece)
		m.records, m.bytes = p.records[:], p.bytes[:]
	}
	r := &m.records[0]
	copy(m.bytes, value)
	value = m.bytes[:n:n]
	m.records, m.bytes = m.records[1:], m.bytes[n:]
	return r, value
}

// render renders the event of the record that was taken last, which nobody else has yet.
func (m *room) render(r *Record) {
	if len(r.value) > aloneBytes || m.event > aloneBytes {
		m.event = len(r.Event())
		return
	}
	event := r.appendJSON(m.bytes[:0], lambdaForm)
	m.event = len(event)
	if m.event <= len(m.bytes) {
		event, m.bytes = event[:m.event:m.event], m.bytes[m.event:]
	} else {
		event = bytes.Clone(event) // it did not fit, and grew
	}
	r.event = event
	r.state.Store(rendered)
}
