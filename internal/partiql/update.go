package partiql

import (
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
)

// step parses one assignment of SET, or one path of REMOVE.
func (p *parser) step(set bool) (step expr.Step, e *awserr.Error) {
	path, _, e := p.path()
	if e != nil {
		return step, e
	}
	if !set {
		return p.b.Remove(path), nil
	}
	if !p.accept("=") {
		return step, p.unexpected()
	}
	if p.peek.sym("(") && (p.tok.is("set_add") || p.tok.is("set_delete")) {
		return p.setFunction(path)
	}
	left, e := p.setOperand()
	if e != nil {
		return step, e
	}
	if !p.tok.sym("+") && !p.tok.sym("-") {
		return p.b.Set(path, left, 0, expr.Operand{}), nil
	}
	sign := p.tok.s[0]
	p.next()
	right, e := p.setOperand()
	return p.b.Set(path, left, sign, right), e
}

// setOperand parses what SET computes with.
func (p *parser) setOperand() (expr.Operand, *awserr.Error) {
	switch {
	case p.tok.kind == word && p.peek.sym("("):
		fn, where := strings.ToLower(p.tok.s), at(p.src, p.tok)
		if fn != "list_append" && fn != "if_not_exists" {
			return expr.Operand{}, awserr.UnrecognizedFunction(fn, where)
		}
		args, e := p.arguments(p.setOperand)
		if e != nil {
			return expr.Operand{}, e
		}
		return p.b.Call(fn, args...), nil
	case p.accept("("):
		o, e := p.setOperand()
		if e == nil && !p.accept(")") {
			e = p.unexpected()
		}
		return o, e
	case p.atLiteral():
		v, e := p.literal()
		return expr.ValueOperand(v), e
	case p.tok.is("missing"):
		return expr.Operand{}, awserr.MissingCompared()
	}
	path, _, e := p.path()
	if e != nil {
		return expr.Operand{}, e
	}
	return expr.PathOperand(path), nil
}

// arguments parses ( operand, ... ) behind the name of a function.
func (p *parser) arguments(operand func() (expr.Operand, *awserr.Error)) ([]expr.Operand, *awserr.Error) {
	p.next() // the name
	p.next() // (
	var args []expr.Operand
	if p.accept(")") {
		return nil, nil
	}
	for {
		o, e := operand()
		if e != nil {
			return nil, e
		}
		args = append(args, o)
		if p.accept(")") {
			return args, nil
		}
		if !p.accept(",") {
			return nil, p.unexpected()
		}
	}
}

// setFunction parses set_add(path, set) or set_delete(path, set), where path is
// what is assigned to.
func (p *parser) setFunction(path expr.Path) (step expr.Step, e *awserr.Error) {
	name, where := strings.ToUpper(p.tok.s), at(p.src, p.tok)
	first := scan(p.src, p.peek.pos+p.peek.length)
	args, e := p.arguments(p.setOperand)
	if e != nil {
		return step, e
	}
	if len(args) != 2 {
		return step, awserr.SetFunctionCount(name, where)
	}
	if target, ok := args[0].Path(); !ok || !target.Equal(path) {
		return step, awserr.SetFunctionFirst(name, where)
	}
	v := args[1].Value()
	if v.Type().Element() == item.None {
		return step, awserr.SetFunctionSecond(name, at(p.src, first))
	}
	if name == "SET_ADD" {
		return p.b.AddToSet(path, v), nil
	}
	return p.b.DeleteFromSet(path, v), nil
}
