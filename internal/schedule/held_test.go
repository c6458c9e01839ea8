package schedule

import (
	"testing"
	"time"

	"github.com/millstreamdb/millstream/internal/outbox"
)

// TestOneThatOwesTooMuch: a schedule that owes all that it may holds up no other one, and starts when it owes less.
func TestOneThatOwesTooMuch(t *testing.T) {
	w := newWorld(t)
	full := w.create(definition("full", "at(2030-01-01T00:01:00)"))
	other := w.create(definition("other", "at(2030-01-01T00:01:00)"))
	var held []*outbox.Delivery
	for {
		d := &outbox.Delivery{Source: full}
		if d.Weigh(0); w.box.Reserve(d) != nil {
			break
		}
		held = append(held, d)
	}
	w.advance(time.Minute)
	w.expect(function, other, "2030-01-01T00:01:00Z")
	if n := len(w.got(function)[full]); n != 0 {
		t.Fatal("it was started ", n, " times although it owes too much")
	}
	w.box.Forget(held...)
	w.advance(time.Minute)
	w.expect(function, full, "2030-01-01T00:01:00Z")
}
