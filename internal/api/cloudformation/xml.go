package cloudformation

import (
	"encoding/xml"
	"strings"
	"time"
)

// document writes the XML of an answer.
type document struct{ strings.Builder }

// text writes an element; none for an empty value.
func (d *document) text(name, value string) {
	if value != "" {
		d.must(name, value)
	}
}

// must writes an element, also an empty one.
func (d *document) must(name, value string) {
	d.WriteString("<" + name + ">")
	_ = xml.EscapeText(d, []byte(value)) // a Builder takes everything
	d.WriteString("</" + name + ">")
}

func (d *document) yes(name string, value bool) {
	if value {
		d.must(name, "true")
	} else {
		d.must(name, "false")
	}
}

func (d *document) time(name string, t time.Time) {
	if !t.IsZero() {
		d.must(name, t.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
}

// in writes an element around others.
func (d *document) in(name string, inner func()) {
	d.WriteString("<" + name + ">")
	inner()
	d.WriteString("</" + name + ">")
}

// list writes a list, whose elements are called member.
func list[T any](d *document, name string, all []T, one func(T)) {
	d.in(name, func() {
		for _, item := range all {
			d.in("member", func() { one(item) })
		}
	})
}
