package expr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/item"
)

// Transition is a condition on a change of an item: the condition language over the item before (OLD) and
// after (NEW) it, such as
//
//	OLD.status <> NEW.status AND NEW.total > 100
//
// It differs from a ConditionExpression in what stands for placeholders: 'text', numbers, true, false and null are values,
// any word is an attribute's name, reserved or not, and one with other characters is written "in quotes". A missing
// item has no attributes. Immutable; safe for concurrent use.
type Transition struct {
	text     string
	c        *Condition
	old, new bool
}

// ParseTransition parses a condition on a change, of at most 4,096 bytes.
func ParseTransition(text string) (*Transition, error) {
	r := rewriter{src: text, names: map[string]string{}}
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the condition has %d bytes; %d is the limit", len(text), maxExpression)
	}
	if err := r.run(); err != nil {
		return nil, err
	}
	p := &Params{}
	for key, name := range r.names {
		p.names.add(key, name)
	}
	for i, v := range r.values {
		p.values.add(valueKey(i), v)
	}
	// What was written in short is not what the limit is about.
	var parser parser
	parser.src, parser.x, parser.params = r.out.String(), "condition", p
	parser.tok = scan(parser.src, 0)
	parser.next = scan(parser.src, parser.tok.end)
	t, ok := parser.disjunction()
	var root *node
	if ok {
		root, ok = parser.condition(t)
	}
	if err := parser.finish(ok); err != nil {
		return nil, errors.New(r.original(err.Message))
	}
	return &Transition{text: text, c: &Condition{root: root}, old: r.old, new: r.new}, nil
}

// String is the text that was parsed.
func (c *Transition) String() string { return c.text }

// Reads reports which images the condition looks at.
func (c *Transition) Reads() (old, new bool) { return c.old, c.new }

// Eval evaluates on the images of a change; nil: there is none, or the stream does not carry it. A nil Transition holds.
func (c *Transition) Eval(old, new item.Item) bool {
	if c == nil {
		return true
	}
	var both [2]item.Entry
	entries := both[:0]
	if new != nil && c.new {
		entries = append(entries, item.Entry{Name: "NEW", Value: new.Map()})
	}
	if old != nil && c.old {
		entries = append(entries, item.Entry{Name: "OLD", Value: old.Map()})
	}
	return c.c.root.eval(item.NewItem(entries))
}

// rewriter makes a condition with placeholders of one without.
type rewriter struct {
	src      string
	pos      int
	out      strings.Builder
	names    map[string]string // attributes by placeholder
	values   []item.Value
	texts    []string // of values, as written
	old, new bool
}

func valueKey(i int) string { return ":v" + strconv.Itoa(i) }

func (r *rewriter) run() error {
	previous := tokEOF
	for {
		t := scan(r.src, r.pos)
		if t.kind == tokEOF {
			return nil
		}
		r.out.WriteString(r.src[r.pos:t.start]) // white space
		word := r.src[t.start:t.end]
		r.pos = t.end
		after := scan(r.src, t.end)
		switch {
		case word == "'":
			text, err := r.quoted('\'', t.start)
			if err != nil {
				return err
			}
			r.value(item.AppendString(nil, text), t.start)
		case word == `"`:
			if previous != tokDot {
				return r.fault(t.start, `names in quotes follow OLD. or NEW.; text is written 'so'`)
			}
			name, err := r.quoted('"', t.start)
			if err != nil {
				return err
			}
			r.name(name)
		case t.kind == tokName || t.kind == tokValue:
			return r.fault(t.start, "placeholders are for requests: here names and values are written out")
		case previous == tokDot && isLetter(word[0]):
			r.name(word)
		case t.kind == tokDigits && previous != tokOpenIndex, t.kind == tokMinus:
			if err := r.number(t.start); err != nil {
				return err
			}
		case t.kind != tokIdent || after.kind == tokOpen: // a function, a keyword, a sign
			r.out.WriteString(word)
		default:
			if err := r.word(word, t.start); err != nil {
				return err
			}
		}
		previous = t.kind
	}
}

// word takes the beginning of a path, or a value that is a word.
func (r *rewriter) word(word string, at int) error {
	switch word {
	case "OLD":
		r.old = true
		r.name(word)
	case "NEW":
		r.new = true
		r.name(word)
	case "true", "false":
		r.value(item.Bool(word == "true"), at)
	case "null":
		r.value(item.Null(), at)
	default:
		return r.fault(at, "paths begin with OLD. or NEW.; text is written 'so'")
	}
	return nil
}

func (r *rewriter) name(attribute string) {
	key := "#n" + strconv.Itoa(len(r.names))
	for k, a := range r.names {
		if a == attribute {
			key = k
		}
	}
	r.names[key] = attribute
	r.out.WriteString(key)
}

func (r *rewriter) value(v item.Value, at int) {
	r.out.WriteString(valueKey(len(r.values)))
	r.values = append(r.values, v)
	r.texts = append(r.texts, r.src[at:r.pos])
}

// quoted reads on to the closing quote; two of them stand for one.
func (r *rewriter) quoted(quote byte, at int) (string, error) {
	var b strings.Builder
	for r.pos < len(r.src) {
		c := r.src[r.pos]
		r.pos++
		if c == quote {
			if r.pos < len(r.src) && r.src[r.pos] == quote {
				r.pos++
			} else {
				return b.String(), nil
			}
		}
		b.WriteByte(c)
	}
	return "", r.fault(at, "the quote is not closed")
}

func (r *rewriter) number(at int) error {
	end := at
	for end < len(r.src) && (isWord(r.src[end]) || r.src[end] == '.' || r.src[end] == '-' && (end == at || r.src[end-1]|0x20 == 'e') ||
		r.src[end] == '+' && end > at && r.src[end-1]|0x20 == 'e') {
		end++
	}
	v, err := item.ParseNumber([]byte(r.src[at:end]))
	if err != nil {
		return r.fault(at, "that is no number")
	}
	r.pos = end
	r.value(v, at)
	return nil
}

func (r *rewriter) fault(at int, why string) error {
	near := r.src[at:]
	if len(near) > 20 {
		near = strings.ToValidUTF8(near[:20], "") + "..."
	}
	return fmt.Errorf("at %q: %s", near, why)
}

// original puts back into an error what the placeholders stand for.
func (r *rewriter) original(message string) string {
	var pairs []string
	for i := len(r.texts) - 1; i >= 0; i-- { // :v10 before :v1
		pairs = append(pairs, valueKey(i), r.texts[i])
	}
	for i := len(r.names) - 1; i >= 0; i-- {
		key := "#n" + strconv.Itoa(i)
		pairs = append(pairs, key, r.names[key])
	}
	return strings.NewReplacer(pairs...).Replace(message)
}
