package sqs

import (
	"encoding/base64"
	"encoding/xml"
	"strconv"

	"github.com/millstreamdb/millstream/internal/api/awsjson"
)

// writer writes the members of an answer, as JSON or as XML. Lists and tables have a name in JSON, and in XML one for each element,
// since the query protocol flattens them.
type writer struct {
	b   []byte
	xml bool
}

// name begins a member in JSON.
func (w *writer) name(name string) {
	w.comma()
	w.b = awsjson.AppendText(w.b, name)
	w.b = append(w.b, ':')
}

func (w *writer) comma() {
	if n := len(w.b); n > 0 && w.b[n-1] != '{' && w.b[n-1] != '[' {
		w.b = append(w.b, ',')
	}
}

func (w *writer) open(tag string)  { w.b = append(append(append(w.b, '<'), tag...), '>') }
func (w *writer) close(tag string) { w.b = append(append(append(w.b, '<', '/'), tag...), '>') }

// text writes a text; an empty one is left out.
func (w *writer) text(name, value string) {
	switch {
	case value == "":
	case w.xml:
		w.open(name)
		w.escaped(value)
		w.close(name)
	default:
		w.name(name)
		w.b = awsjson.AppendText(w.b, value)
	}
}

func (w *writer) number(name string, n int64) {
	if w.xml {
		w.text(name, strconv.FormatInt(n, 10))
		return
	}
	w.name(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *writer) bool(name string, v bool) {
	if w.xml {
		w.text(name, strconv.FormatBool(v))
		return
	}
	w.name(name)
	w.b = strconv.AppendBool(w.b, v)
}

// bytes writes binary data, in base64.
func (w *writer) bytes(name, value string) {
	w.text(name, base64.StdEncoding.EncodeToString([]byte(value)))
}

// object writes a structure.
func (w *writer) object(name string, members func()) {
	if w.xml {
		w.open(name)
		members()
		w.close(name)
		return
	}
	w.name(name)
	w.b = append(w.b, '{')
	members()
	w.b = append(w.b, '}')
}

// list writes a list of structures; an empty one is left out.
func (w *writer) list(name, element string, n int, members func(i int)) {
	if n == 0 {
		return
	}
	if w.xml {
		for i := range n {
			w.open(element)
			members(i)
			w.close(element)
		}
		return
	}
	w.name(name)
	w.b = append(w.b, '[')
	for i := range n {
		w.comma()
		w.b = append(w.b, '{')
		members(i)
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ']')
}

// texts writes a list of texts; an empty one is left out.
func (w *writer) texts(name, element string, values []string) {
	if len(values) == 0 {
		return
	}
	if w.xml {
		for _, v := range values {
			w.text(element, v)
		}
		return
	}
	w.name(name)
	w.b = append(w.b, '[')
	for _, v := range values {
		w.comma()
		w.b = awsjson.AppendText(w.b, v)
	}
	w.b = append(w.b, ']')
}

// table writes pairs of texts, whose keys XML calls key; an empty one is left out.
func (w *writer) table(name, element, key string, pairs [][2]string) {
	if len(pairs) == 0 {
		return
	}
	if w.xml {
		for _, p := range pairs {
			w.open(element)
			w.text(key, p[0])
			w.open("Value")
			w.escaped(p[1])
			w.close("Value")
			w.close(element)
		}
		return
	}
	w.object(name, func() {
		for _, p := range pairs {
			w.name(p[0])
			w.b = awsjson.AppendText(w.b, p[1])
		}
	})
}

func (w *writer) escaped(s string) {
	_ = xml.EscapeText((*sink)(w), []byte(s)) // a sink takes everything
}

// sink is the writer for the encoding package.
type sink writer

func (s *sink) Write(p []byte) (int, error) {
	s.b = append(s.b, p...)
	return len(p), nil
}
