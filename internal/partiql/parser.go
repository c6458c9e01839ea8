package partiql

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/expr"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
)

// Verb is what a statement does.
type Verb byte

const (
	Select Verb = iota
	Insert
	Update
	Delete
	Exists // a condition in a transaction
)

// Statement is a parsed statement, not yet held against its table. It is not
// changed afterwards.
type Statement struct {
	Verb         Verb
	Table, Index string
	Columns      []Column // of Select; none means *
	Item         item.Item
	Returning    request.ReturnValues

	update  *expr.Update
	where   []condition // joined by AND
	order   []ordering
	builder *expr.Builder
	refused *awserr.Error // a column that is no path, which is told once the table is known
}

// Column is one path of a SELECT and the name under which it is shown: its last
// component.
type Column struct {
	Path expr.Path
	Name string
}

type ordering struct {
	attribute  string
	descending bool
	refused    *awserr.Error // it is no attribute
}

// condition is a conjunct of WHERE. What it says of one top-level attribute, by
// which items may be found, is in key.
type condition struct {
	term expr.Term
	key  expr.KeyTerm  // Attribute is empty when it is none
	in   bool          // key is attribute IN Values
	any  [][]condition // of an OR: the branches, each joined by AND
	not  bool          // it is what NOT or <> makes of another
}

type parser struct {
	src       string
	tok, peek token
	last      int // where the last token that was consumed ended
	params    []item.Value
	used      int
	b         *expr.Builder
	refused   *awserr.Error // the first fault that is reported once the whole statement can be read
}

// Parse reads a statement. Its parameters have been checked as values.
func Parse(src string, params []item.Value) (*Statement, *awserr.Error) {
	p := &parser{src: src, params: params, b: expr.NewBuilder()}
	p.tok = scan(src, 0)
	p.peek = p.scanBehind(p.tok)
	s, e := p.statement()
	if e == nil {
		another := p.accept(";") && p.tok.kind != end
		switch {
		case p.tok.kind == illegal:
			e = awserr.Malformed("")
		case another:
			e = awserr.Malformed("Unexpected token after semicolon. (Only one query is allowed.)")
		case p.tok.kind != end:
			e = awserr.Malformed("Unexpected token after expression")
		case p.refused != nil:
			e = p.refused
		default:
			e = p.b.Err()
		}
	}
	if e != nil {
		return nil, p.first(e)
	}
	s.builder = p.b
	return s, nil
}

// first is what is told of a statement in which e was found: AWS reads all tokens before it looks at
// what they say, and what FROM names before it counts parameters.
func (p *parser) first(e *awserr.Error) *awserr.Error {
	t := p.tok
	for t.kind != end && t.kind != illegal {
		t = p.scanBehind(t)
	}
	switch {
	case t.kind == illegal:
		return awserr.Malformed("")
	case p.refused != nil && e.Message == awserr.ParameterCount().Message:
		return p.refused
	}
	return e
}

func (p *parser) scanBehind(t token) token {
	if t.kind == illegal || t.kind == end {
		return t
	}
	return scan(p.src, t.pos+t.length)
}

func (p *parser) next() {
	p.last = p.tok.pos + p.tok.length
	p.tok = p.peek
	p.peek = p.scanBehind(p.tok)
}

func (p *parser) accept(s string) bool {
	if !p.tok.sym(s) {
		return false
	}
	p.next()
	return true
}

func (p *parser) acceptWord(keyword string) bool {
	if !p.tok.is(keyword) {
		return false
	}
	p.next()
	return true
}

// unexpected is the error of a token that cannot stand where it does.
func (p *parser) unexpected() *awserr.Error {
	t := p.tok
	switch {
	case t.kind == illegal:
		return awserr.Malformed("")
	case t.is("is"), t.is("like"), t.is("in"), t.is("between"), t.is("and"), t.is("or"):
		return awserr.Malformed("Unexpected operator")
	case t.kind == word && isKeyword(t.s):
		return awserr.Malformed("Unexpected keyword")
	case t.kind == symbol && strings.Contains("=<>!=+-", t.s):
		return awserr.Malformed("Unexpected operator")
	}
	return awserr.Malformed("Unexpected term")
}

func (p *parser) statement() (*Statement, *awserr.Error) {
	t := p.tok
	if t.kind != illegal {
		p.next()
	}
	switch {
	case t.is("select"):
		return p.selection()
	case t.is("insert"):
		return p.insertion()
	case t.is("update"):
		return p.update(false)
	case t.is("from"):
		return p.update(true)
	case t.is("delete"):
		return p.deletion()
	case t.is("exists") && p.accept("("):
		if !p.acceptWord("select") {
			return nil, awserr.ExistsOutside()
		}
		s, e := p.selection()
		if e == nil && !p.accept(")") {
			e = p.unexpected()
		}
		if e != nil {
			return nil, e
		}
		s.Verb = Exists
		return s, nil
	case t.kind == illegal:
		return nil, awserr.Malformed("")
	case t.is("not"), t.sym("-"), t.sym("+"):
		for p.tok.is("not") || p.tok.sym("-") || p.tok.sym("+") {
			p.next()
		}
		if p.tok.kind == end {
			return nil, p.unexpected()
		}
	case t.name() && p.acceptWord("is"): // an expression that is a statement
		if _, e := p.typeTest(expr.PathOperand(expr.NewPath(t.s)), t); e != nil {
			return nil, e
		}
		p.refused = awserr.TestAsStatement()
		return &Statement{}, nil
	}
	return nil, awserr.Malformed("Expected data manipulation")
}

// refuse notes a fault that comes after those of the grammar.
func (p *parser) refuse(e *awserr.Error) {
	if p.refused == nil {
		p.refused = e
	}
}

// table parses "table", or "table"."index" in a SELECT.
func (p *parser) table(s *Statement, absent string) *awserr.Error {
	if !p.tok.name() {
		if absent != "" && p.tok.kind != illegal {
			return awserr.Malformed(absent)
		}
		return p.unexpected()
	}
	components, where := []string{p.tok.s}, at(p.src, p.tok)
	p.next()
	for p.accept(".") {
		if !p.tok.name() {
			return awserr.Malformed("Invalid path dot component")
		}
		components = append(components, p.tok.s)
		p.next()
	}
	s.Table = components[0]
	if len(components) > 1 {
		s.Index = components[1]
	}
	switch {
	case slices.Contains(components, ""):
		p.refuse(awserr.EmptyPathComponent())
	case len(components) > 2:
		p.refuse(awserr.PathTooLong())
	case len(components) == 1:
	case s.Verb == Insert:
		p.refuse(awserr.InsertIntoPath(where))
	case s.Verb != Select:
		p.refuse(awserr.IndexWrite())
	}
	return nil
}

// call passes a name and the parentheses behind it.
func (p *parser) call() {
	p.next()
	for open := 0; p.tok.kind != end && p.tok.kind != illegal; {
		switch {
		case p.tok.sym("("):
			open++
		case p.tok.sym(")"):
			open--
		}
		p.next()
		if open == 0 {
			return
		}
	}
}

// noAlias refuses another name for the table or for what is selected.
func (p *parser) noAlias() *awserr.Error {
	if p.tok.name() || p.tok.is("as") {
		return awserr.Aliasing()
	}
	return nil
}

func (p *parser) selection() (*Statement, *awserr.Error) {
	s := &Statement{Verb: Select}
	if p.tok.is("from") {
		return nil, awserr.Malformed("Expected identifier or an expression but found unexpected keyword 'from' in a select list.")
	}
	if !p.accept("*") {
		seen := map[string]bool{}
		for {
			start := p.tok
			if start.kind == word && p.peek.sym("(") {
				p.call()
				if s.refused == nil {
					s.refused = awserr.UnexpectedPath(at(p.src, start))
				}
			} else {
				path, name, e := p.path()
				if e != nil {
					return nil, e
				}
				if seen[name] {
					return nil, awserr.SelectTwice(name)
				}
				seen[name] = true
				s.Columns = append(s.Columns, Column{path, name})
			}
			if e := p.noAlias(); e != nil {
				return nil, e
			}
			if !p.accept(",") {
				break
			}
		}
	}
	if !p.acceptWord("from") {
		return nil, p.unexpected()
	}
	if e := p.table(s, ""); e != nil {
		return nil, e
	}
	if e := p.noAlias(); e != nil {
		return nil, e
	}
	if e := p.where(s); e != nil {
		return nil, e
	}
	if p.tok.is("order") && p.peek.is("by") {
		p.next()
		p.next()
		for {
			start := p.tok
			if !start.name() && start.kind != text {
				return nil, p.unexpected()
			}
			o := ordering{attribute: start.s}
			switch {
			case start.kind == text:
				p.next()
				o.refused = awserr.OrderByValue(start.s, at(p.src, start))
			case p.peek.sym("."), p.peek.sym("["):
				if _, _, e := p.path(); e != nil {
					return nil, e
				}
				o.refused = awserr.OrderByValue("PATH", at(p.src, start))
			default:
				p.next()
			}
			if !p.acceptWord("asc") {
				o.descending = p.acceptWord("desc")
			}
			s.order = append(s.order, o)
			if !p.accept(",") {
				break
			}
		}
	}
	return s, nil
}

func (p *parser) insertion() (*Statement, *awserr.Error) {
	s := &Statement{Verb: Insert}
	if !p.acceptWord("into") {
		return nil, p.unexpected()
	}
	if e := p.table(s, "Expected identifier for simple path"); e != nil {
		return nil, e
	}
	if !p.acceptWord("value") {
		if p.tok.name() {
			return nil, awserr.Malformed("Unexpected token after expression")
		}
		return nil, p.unexpected()
	}
	switch {
	case p.tok.sym("?"):
		v, e := p.parameter()
		if e != nil {
			return nil, e
		}
		if v.Type() != item.M {
			return nil, awserr.TupleRequired()
		}
		s.Item = item.ItemOf(v)
	case p.tok.sym("{"):
		entries, e := p.tuple("root", func(name string) (item.Value, *awserr.Error) { return p.literal() })
		if e != nil {
			return nil, e
		}
		if slices.ContainsFunc(entries, func(x item.Entry) bool { return x.Value.Depth() > item.MaxDepth }) {
			p.refuse(awserr.ResultTooDeep())
		}
		s.Item = item.NewItem(entries)
	case p.atLiteral():
		return nil, awserr.TupleRequired()
	default:
		return nil, p.unexpected()
	}
	if p.tok.is("returning") {
		return nil, awserr.NoReturningInsert()
	}
	return s, nil
}

// update parses UPDATE table SET ... WHERE ..., or FROM table WHERE ... SET ...
func (p *parser) update(whereFirst bool) (*Statement, *awserr.Error) {
	s := &Statement{Verb: Update}
	if e := p.table(s, "Expected identifier for simple path"); e != nil {
		return nil, e
	}
	if e := p.noAlias(); e != nil {
		return nil, e
	}
	if whereFirst {
		if e := p.where(s); e != nil {
			return nil, e
		}
	}
	// What is wrong with a value of WHERE is reported before what is wrong with those of
	// SET.
	before := p.refused
	var steps []expr.Step
	for {
		set := p.tok.is("set")
		if !set && !p.tok.is("remove") {
			break
		}
		p.next()
		for {
			step, e := p.step(set)
			if e != nil {
				return nil, e
			}
			steps = append(steps, step)
			if !set || !p.accept(",") { // REMOVE takes one path
				break
			}
		}
	}
	if len(steps) == 0 {
		return nil, awserr.Malformed("Expected data manipulation")
	}
	s.update = p.b.Update(steps)
	if !whereFirst {
		inSet := p.refused
		p.refused = before
		if e := p.where(s); e != nil {
			return nil, e
		}
		if p.refused == nil {
			p.refused = inSet
		}
	}
	return s, p.returning(s)
}

func (p *parser) deletion() (*Statement, *awserr.Error) {
	s := &Statement{Verb: Delete}
	if !p.acceptWord("from") {
		return nil, awserr.Malformed("Expected FROM after DELETE")
	}
	if e := p.table(s, "Expected identifier for simple path"); e != nil {
		return nil, e
	}
	if e := p.noAlias(); e != nil {
		return nil, e
	}
	if e := p.where(s); e != nil {
		return nil, e
	}
	return s, p.returning(s)
}

func (p *parser) returning(s *Statement) *awserr.Error {
	if !p.acceptWord("returning") {
		return nil
	}
	all, new := p.tok.is("all"), p.peek.is("new")
	if !all && !p.tok.is("modified") || !new && !p.peek.is("old") {
		return awserr.ReturningSyntax()
	}
	p.next()
	p.next()
	if !p.accept("*") {
		return awserr.ReturningSyntax()
	}
	clause := "MODIFIED OLD *"
	switch {
	case all && new:
		s.Returning, clause = request.ReturnAllNew, "ALL NEW *"
	case all:
		s.Returning = request.ReturnAllOld
	case new:
		s.Returning, clause = request.ReturnUpdatedNew, "MODIFIED NEW *"
	default:
		s.Returning = request.ReturnUpdatedOld
	}
	if s.Verb == Delete && s.Returning != request.ReturnAllOld {
		return awserr.ReturningDelete(clause)
	}
	return nil
}

// path parses name(.name | [index])*; last is its last component as SELECT shows it.
func (p *parser) path() (path expr.Path, last string, e *awserr.Error) {
	if !p.tok.name() {
		return path, "", p.unexpected()
	}
	if !utf8.ValidString(p.tok.s) {
		return path, "", awserr.Malformed("")
	}
	if p.tok.s == "" {
		return path, "", awserr.EmptyPathComponent()
	}
	last = p.tok.s
	path = expr.NewPath(last)
	p.next()
	for depth := 1; ; depth++ {
		if depth > item.MaxDepth {
			return path, "", awserr.Statement.PathTooDeep(depth)
		}
		switch {
		case p.accept("."):
			if !p.tok.name() {
				return path, "", awserr.Malformed("Invalid path dot component")
			}
			if !utf8.ValidString(p.tok.s) {
				return path, "", awserr.Malformed("")
			}
			if p.tok.s == "" {
				return path, "", awserr.EmptyPathComponent()
			}
			last = p.tok.s
			path = path.Field(last)
			p.next()
		case p.tok.sym("[") && p.peek.kind == text:
			p.next()
			last = p.tok.s
			if last == "" || !utf8.ValidString(last) {
				return path, "", awserr.Malformed("Invalid path dot component")
			}
			path = path.Field(last)
			p.next()
			if !p.accept("]") {
				return path, "", p.unexpected()
			}
		case p.accept("["):
			sign := ""
			if p.accept("-") {
				sign = "-"
			}
			if p.tok.kind != number {
				return path, "", p.unexpected()
			}
			index, err := strconv.ParseInt(sign+p.tok.s, 10, 32)
			if err != nil || index < 0 {
				return path, "", awserr.LiteralAt(awserr.Statement.IndexRange(sign+p.tok.s), at(p.src, p.tok))
			}
			path = path.Index(int32(index))
			last += "[" + strconv.FormatInt(index, 10) + "]"
			p.next()
			if !p.accept("]") {
				return path, "", p.unexpected()
			}
		default:
			return path, last, nil
		}
	}
}
