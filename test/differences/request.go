package differences

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// object and list are JSON as a tree; encoding/json writes the members of an object
// in sorted order, so that a tree has one text.
type (
	object = map[string]any
	list   = []any
)

// ref stands, in a request's tree, for what an endpoint answered earlier: ARNs,
// shard ids, iterators and tokens differ between endpoints.
type ref string

// Request is one call of an operation, before it is put to an endpoint.
type Request struct {
	Op      string // such as "PutItem"
	Streams bool   // of the DynamoDB Streams API
	Body    object
	Mangle  *mangle // how the JSON text is broken, nil: not
	Whole   whole
	Aim     string // the recipe it comes from, "" for the grammar
	// Headers replace those of the request ("" drops one) and Query is added to its
	// address. Such a request goes to Millstream alone, to count its error: dynoxide
	// looks at neither.
	Headers map[string]string
	Query   string
}

// alone reports whether the request goes to Millstream alone.
func (r *Request) alone() bool { return r.Headers != nil || r.Query != "" }

// whole asks for all pages, or all pages of all segments, as one answer: the order
// of a scan, and so where its pages end, is each server's own.
type whole string

const (
	onePage     whole = ""
	allPages    whole = "pages"
	allSegments whole = "segments"
	// settled asks again and again until no index is made or removed any more.
	settled whole = "settled"
)

// mangle breaks a text at a place given as a fraction of its length.
type mangle struct {
	Cut    bool // drop the rest
	At     float64
	Insert string
}

func (m *mangle) apply(text []byte) []byte {
	at := int(m.At * float64(len(text)))
	out := append(slices.Clone(text[:at]), m.Insert...)
	if m.Cut {
		return out
	}
	return append(out, text[at:]...)
}

// anyOrder reports whether the items of the answer come in an order of the server's
// own.
func (r *Request) anyOrder() bool {
	return r.Op == "Scan" || r.Whole != onePage && (r.Op != "Query" || r.Body["IndexName"] != nil)
}

// table returns the name of the one table that the request is for, "" for none or
// several.
func (r *Request) table() string {
	for _, member := range []string{"TableName", "StreamArn", "ShardIterator", "ResourceArn"} {
		switch v := r.Body[member].(type) {
		case string:
			return v
		case ref:
			_, name, _ := strings.Cut(string(v), ":")
			return name
		}
	}
	return ""
}

// target is the value of X-Amz-Target.
func (r *Request) target() string {
	if r.Streams {
		return "DynamoDBStreams_20120810." + r.Op
	}
	return "DynamoDB_20120810." + r.Op
}

// text renders the request for one endpoint. ok is false when the endpoint has not
// answered what a ref stands for.
func (r *Request) text(memory object) (body []byte, ok bool) {
	tree, ok := resolve(r.Body, memory)
	if !ok {
		return nil, false
	}
	body = encode(tree)
	if r.Mangle != nil {
		body = r.Mangle.apply(body)
	}
	return body, true
}

func resolve(tree any, memory object) (any, bool) {
	switch v := tree.(type) {
	case ref:
		found, ok := memory[string(v)]
		return found, ok
	case object:
		out := make(object, len(v))
		for name, member := range v {
			resolved, ok := resolve(member, memory)
			if !ok {
				return nil, false
			}
			out[name] = resolved
		}
		return out, true
	case list:
		out := make(list, len(v))
		for i, member := range v {
			resolved, ok := resolve(member, memory)
			if !ok {
				return nil, false
			}
			out[i] = resolved
		}
		return out, true
	}
	return tree, true
}

// encode writes a tree as JSON, with <, > and & as they are.
func encode(tree any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil {
		panic(err) // a tree of the generator is always JSON
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// names returns an object's members in order, so that random choices among them
// are the same in every run.
func names(o object) []string { return slices.Sorted(maps.Keys(o)) }

// with returns a copy of o with the members of more.
func with(o object, more object) object {
	out := maps.Clone(o)
	maps.Copy(out, more)
	return out
}

func (r *Request) String() string { return r.Op + " " + string(encode(r.Body)) }
