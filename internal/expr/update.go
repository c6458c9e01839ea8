package expr

import (
	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// clause is a section of an update expression.
type clause byte

const (
	clauseSet clause = iota
	clauseRemove
	clauseAdd
	clauseDelete
	clauseCount
)

var clauseNames = [...]string{"SET", "REMOVE", "ADD", "DELETE"}

// Update is a parsed update expression. It is immutable and may be applied by
// several goroutines at once.
type Update struct {
	paths   pathTree
	actions []action // beside paths.paths
	changes bool     // given as AttributeUpdates
}

// action is what an update does at one path.
type action struct {
	clause clause
	set    setValue   // of SET
	value  item.Value // of ADD and DELETE
}

// setValue is the right side of a SET action: an operand, or two and a sign.
type setValue struct {
	sign        tokenKind // tokPlus, tokMinus or, for left alone, tokEOF
	left, right operand
}

// Target is a top-level attribute that an update writes.
type Target struct {
	Attribute string
	Nested    bool // by a path that leads into it
}

// ParseUpdate parses: (SET ... | REMOVE ... | ADD ... | DELETE ...)+
func ParseUpdate(src string, params *Params) (*Update, *awserr.Error) {
	var p parser
	if err := p.start(awserr.UpdateExpression, src, params); err != nil {
		return nil, err
	}
	u := &Update{}
	ok := u.parse(&p)
	if err := p.finish(ok); err != nil {
		return nil, err
	}
	return u, nil
}

func (u *Update) parse(p *parser) bool {
	var seen [clauseCount]bool
	for first := true; first || p.tok.kind != tokEOF; first = false {
		if p.tok.kind < tokSet || p.tok.kind > tokDelete {
			return p.unexpected()
		}
		c := clause(p.tok.kind - tokSet)
		if seen[c] {
			p.fail(faultClause, p.x.RepeatedClause(clauseNames[c]))
		}
		seen[c] = true
		p.advance()
		for {
			target, ok := p.path()
			if !ok {
				return false
			}
			a := action{clause: c}
			switch c {
			case clauseSet:
				if !p.expect(tokEQ) {
					return false
				}
				a.set, _, ok = p.setValue()
			case clauseAdd, clauseDelete:
				a.value, ok = p.clauseValue(c)
			}
			if !ok {
				return false
			}
			u.paths.add(p, target)
			u.actions = append(u.actions, a)
			if !p.accept(tokComma) {
				break
			}
		}
	}
	return true
}

// clauseValue parses the value of ADD and DELETE.
func (p *parser) clauseValue(c clause) (item.Value, bool) {
	o, ok := p.value()
	switch t := o.value.Type(); t {
	case item.None, item.SS, item.NS, item.BS:
	case item.N:
		if c == clauseDelete {
			p.fail(faultClauseOperand, p.x.ClauseOperandType("DELETE", longTypeNames[t]))
		}
	default:
		p.fail(faultClauseOperand, p.x.ClauseOperandType(clauseNames[c], longTypeNames[t]))
	}
	return o.value, ok
}

// longTypeNames are the names of types in the errors of ADD and DELETE, as AWS writes them.
var longTypeNames = [...]string{
	item.S: "STRING", item.N: "NUMBER", item.B: "Binary", item.BOOL: "BOOL", item.NULL: "NULL",
	item.L: "LIST", item.M: "MAP",
}

// setValue parses: ( setValue ) | operand [(+|-) operand]
func (p *parser) setValue() (v setValue, bracketed, ok bool) {
	if p.accept(tokOpen) {
		v, bracketed, ok = p.setValue()
		if !ok || !p.expect(tokClose) {
			return v, false, false
		}
		if bracketed {
			return v, false, p.redundant()
		}
		bracketed = true
		if v.sign != tokEOF {
			return v, true, true
		}
	} else if v.left, _, ok = p.operand(); !ok {
		return v, false, false
	}
	if p.tok.kind != tokPlus && p.tok.kind != tokMinus {
		return v, bracketed, true
	}
	v.sign = p.tok.kind
	name := p.text(p.tok)
	p.operators++
	p.advance()
	if v.right, _, ok = p.operand(); !ok {
		return v, false, false
	}
	for _, o := range []*operand{&v.left, &v.right} {
		if o.fn == fnListAppend {
			p.failCall(faultUnknownFunction, o.at, p.x.MisusedFunction(functionNames[fnListAppend]))
		} else if t := o.staticType(); t != item.None && t != item.N {
			p.fail(faultOperand, p.x.OperandType(name, t.String()))
		}
	}
	return v, false, true
}

// Attributes returns the top-level attributes that the update writes, each
// once, in the order of the source.
func (u *Update) Attributes() []Target {
	names := u.paths.attributes()
	targets := make([]Target, len(names))
	for i, name := range names {
		targets[i] = Target{Attribute: name}
		for _, kid := range u.paths.root.kids {
			if kid.name == name {
				targets[i].Nested = !kid.leaf
			}
		}
	}
	return targets
}

// RemovesOnly reports that there are only REMOVE and DELETE clauses: on a
// missing item nothing is created.
func (u *Update) RemovesOnly() bool {
	for i := range u.actions {
		if !u.actions[i].removes() {
			return false
		}
	}
	return true
}

// removes reports that the action can only take something away.
func (a *action) removes() bool { return a.clause == clauseRemove || a.clause == clauseDelete }
