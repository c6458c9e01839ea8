package stream

import "bytes"

// room is where the records of one page that is read from the store lie, and their events: one allocation has
// some tens of small ones. What lies there is in memory for as long as any of it is held, so a piece of it is
// small, and what is large lies alone.
type room struct {
	bytes   []byte   // the free part of the newest piece
	records []Record // likewise
	size    int      // of the newest piece
	event   int      // length of the newest event
}

const (
	roomLeast = 2 << 10 // bytes; a page may have but one record
	roomMost  = 16 << 10
)

// record returns a zero Record.
func (m *room) record() *Record {
	if len(m.records) == 0 {
		m.records = make([]Record, max(m.size, roomLeast)/512)
	}
	r := &m.records[0]
	m.records = m.records[1:]
	return r
}

// copy returns a copy of b.
func (m *room) copy(b []byte) []byte {
	if len(b) > roomMost/4 {
		return bytes.Clone(b)
	}
	m.have(len(b))
	n := copy(m.bytes, b)
	out := m.bytes[:n:n]
	m.bytes = m.bytes[n:]
	return out
}

// have begins another piece unless n bytes are free.
func (m *room) have(n int) {
	if n > len(m.bytes) {
		m.size = max(min(2*m.size, roomMost), roomLeast, n)
		m.bytes = make([]byte, m.size)
	}
}

// render renders the event of a record that nobody else has yet.
func (m *room) render(r *Record) {
	m.have(min(max(m.event, 512), roomMost/4)) // it is likely as long as the one before
	event := r.appendJSON(m.bytes[:0], lambdaForm)
	m.event = len(event)
	if m.event > len(m.bytes) {
		event = m.copy(event) // it did not fit
	} else {
		event, m.bytes = event[:m.event:m.event], m.bytes[m.event:]
	}
	r.event = event
	r.state.Store(rendered)
}
