package outbox

import (
	"errors"
	"time"
)

// Bounds of what may be owed. What is owed by all sources together has so many deliveries, with so many bytes on the disk. One source may owe a
// sixteenth of what is still free, and in any case a little; for that there is an eighth more than all. So a source whose receiver never answers
// leaves nearly everything to others, and it takes hundreds of them to leave nothing.
const (
	maxCount = 500_000
	maxBytes = 4 << 30

	sourcePart  = 16
	sourceCount = 100
	sourceBytes = 4 << 20 // a message with its attributes, all signs of it escaped, is below
)

// ErrFull is the error of Add and Reserve when the source owes too much already.
var ErrFull = errors.New("outbox: too many deliveries are owed")

// share is what a source owes.
type share struct {
	source       string
	count, bytes int
	slow         bool // its receiver took long when it was last asked
}

// Weigh notes how much a delivery with a payload of so many bytes takes. It is called when everything else of it is known.
func (d *Delivery) Weigh(payload int) {
	d.Size = payload
	for _, a := range d.Attributes {
		d.Size += len(a.Name) + len(a.Type) + len(a.Value)
	}
	for name, value := range d.Headers {
		d.Size += len(name) + len(value)
	}
}

func (b *Outbox) hold(d *Delivery) *owed {
	of := b.shares[d.Source]
	if of == nil {
		of = &share{source: d.Source}
		b.shares[d.Source] = of
	}
	of.count++
	of.bytes += d.Size
	e := &owed{id: d.ID, source: of.source, ordered: d.Ordered, far: d.far(), size: d.Size, dueMS: d.DueMS, endMS: d.endMS()}
	if d.PerSecond > 0 && e.far {
		e.every = time.Duration(float64(time.Second) / d.PerSecond)
	}
	b.owed[d.ID] = e
	b.count++
	b.bytes += e.size
	return e
}

// fits says whether a source may owe one more delivery. The caller holds mu.
func (b *Outbox) fits(source string, size int) bool {
	var of share
	if o := b.shares[source]; o != nil {
		of = *o
	}
	within := func(all, used, more, has, least int) bool {
		return has+more <= max((all-used)/sourcePart, least) && used+more <= all+all/8
	}
	return within(maxCount, b.count, 1, of.count, sourceCount) && within(maxBytes, b.bytes, size, of.bytes, sourceBytes)
}

func (b *Outbox) drop(id uint64) {
	if e := b.owed[id]; e != nil {
		delete(b.owed, id)
		b.count--
		b.bytes -= e.size
		of := b.shares[e.source]
		if of.count, of.bytes = of.count-1, of.bytes-e.size; of.count == 0 {
			delete(b.shares, e.source)
		}
	}
}
