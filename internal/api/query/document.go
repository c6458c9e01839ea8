package query

import (
	"encoding/xml"
	"strings"
	"time"
)

// Document writes the XML of an answer.
type Document struct{ strings.Builder }

// Text writes an element; none for an empty value.
func (d *Document) Text(name, value string) {
	if value != "" {
		d.Must(name, value)
	}
}

// Must writes an element, also an empty one.
func (d *Document) Must(name, value string) {
	d.WriteString("<" + name + ">")
	_ = xml.EscapeText(d, []byte(value)) // a Builder takes everything
	d.WriteString("</" + name + ">")
}

// Yes writes true or false.
func (d *Document) Yes(name string, value bool) {
	if value {
		d.Must(name, "true")
	} else {
		d.Must(name, "false")
	}
}

// Time writes a moment; none for the zero one.
func (d *Document) Time(name string, t time.Time) {
	if !t.IsZero() {
		d.Must(name, t.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
}

// In writes an element around others.
func (d *Document) In(name string, inner func()) {
	d.WriteString("<" + name + ">")
	inner()
	d.WriteString("</" + name + ">")
}

// List writes a list, whose elements are called member.
func List[T any](d *Document, name string, all []T, one func(T)) {
	d.In(name, func() {
		for _, item := range all {
			d.In("member", func() { one(item) })
		}
	})
}
