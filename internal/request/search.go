package request

import (
	"slices"
	"strconv"
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// SearchVectors has a door of its own at AWS: it tells of members of the wrong type, and of the
// first required member that is missing, with the place in the body; then it checks the others in
// the form of the current layer, then the table's name in that of the older one.

// searchRules are in the order in which AWS looks for what is missing.
var searchRules = []rule{
	{name: "IndexName", required: true}, {name: "SearchVector", kind: aVector, required: true}, {name: "TableName", required: true},
	{name: "TopK", kind: aNumber, required: true}, {name: "ReturnConsumedCapacity"},
	{name: "SearchConditionExpression"}, {name: "ProjectionExpression"},
	{name: "ExpressionAttributeNames", kind: aMap}, {name: "ExpressionAttributeValues", kind: aMap},
}

// maxTopK is how many vectors a search may ask for.
const maxTopK = 100

// checkSearch checks a SearchVectors request, and takes over the table's name.
func (g *given) checkSearch(op *Unused, body []byte) *awserr.Error {
	for i := range g.rules {
		if x := &g.rules[i]; x.required && g.values[i] == nil {
			text := strings.TrimRight(string(body), " \t\r\n")
			line := 1 + strings.Count(text, "\n")
			return awserr.MissingField(x.name, line, len(text)-strings.LastIndexByte(text, '\n')-1)
		}
	}
	index, _ := g.values[0].(string)
	vector, _ := g.values[1].(vector)
	table, _ := g.values[2].(string)
	topK, _ := g.values[3].(int64)
	var v violations
	switch n := characters(index); {
	case n < 3:
		v.unvalued("IndexName", "Member must have length greater than or equal to 3")
	case n > 255:
		v.unvalued("IndexName", "Member must have length less than or equal to 255")
	}
	if vector.length == 0 {
		v.unvalued("SearchVector", notEmpty)
	}
	v.between("TopK", topK, 1, 0)
	if table == "" {
		v.unvalued("TableName", notEmpty)
	}
	if failure := v.err(); failure != nil {
		return failure
	}
	failure := op.itemTable(&v, table, func(v *violations, name string) {
		if n := characters(name); n < 3 || n > 255 {
			v.text(name, 3, 255, "tableName")
		} else if !isName(name) {
			v.add(name, "tableName", namePattern)
		}
	})
	if failure != nil {
		return failure
	}
	if capacity, given := g.values[4].(string); given {
		capacityOf(&v, capacity)
	}
	if len(v.list) > 0 {
		return awserr.Validation(v.list[0])
	}
	if topK > maxTopK {
		return awserr.TopKOutOfRange(topK, maxTopK)
	}
	if vector.other {
		return awserr.NotAVector()
	}
	return nil
}

// vector is what is asked of a search's vector.
type vector struct {
	length int
	other  bool // some value is no number of 32 bits
}

// readSearch reads a member. An optional one may be null.
func (g *given) readSearch(r *item.Reader, member []byte) error {
	i := slices.IndexFunc(g.rules, func(x rule) bool { return x.name == string(member) })
	if i < 0 {
		return r.Skip()
	}
	x := &g.rules[i]
	if g.values[i] = nil; !x.required && r.Null() {
		return nil
	}
	var err error
	switch kind := r.Kind(); {
	case x.kind == aString && kind == item.KindString:
		g.values[i], err = r.String()
	case x.kind == aNumber && kind == item.KindNumber:
		g.values[i], err = readCount(r)
	case x.kind == aVector && kind == item.KindArray:
		g.values[i], err = readVector(r)
	case x.kind == aMap && kind == item.KindObject:
		err = r.Object(func([]byte) error {
			if x.name == "ExpressionAttributeValues" {
				return readOneType(r)
			}
			if r.Kind() != item.KindString {
				return unexpected(r, "a string")
			}
			return r.Skip()
		})
	default:
		return unexpected(r, map[ruleKind]string{aString: "a string", aNumber: "i32", aVector: "a sequence", aMap: "a map"}[x.kind])
	}
	return err
}

// readCount reads a whole number of 32 bits.
func readCount(r *item.Reader) (int64, error) {
	text, decimal, err := r.Number()
	if err != nil {
		return 0, err
	}
	line, column := r.Place()
	if decimal {
		return 0, awserr.Unexpected("type", "floating point `"+text+"`", "i32", line, column)
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, awserr.Unexpected("value", "integer `"+text+"`", "i32", line, column)
	}
	return n, nil
}

// unexpected is the error of a value of the wrong type. Lists and maps are not read before it is told.
func unexpected(r *item.Reader, want string) error {
	var what string
	var err error
	switch r.Kind() {
	case item.KindNull:
		r.Null()
		what = "null"
	case item.KindTrue, item.KindFalse:
		var b bool
		b, err = r.Bool()
		what = "boolean `" + strconv.FormatBool(b) + "`"
	case item.KindString:
		var s string
		s, err = r.String()
		what = "string " + strconv.Quote(s)
	case item.KindNumber:
		var decimal bool
		what, decimal, err = r.Number()
		what = map[bool]string{false: "integer `", true: "floating point `"}[decimal] + what + "`"
	case item.KindArray:
		what = "sequence"
	case item.KindObject:
		what = "map"
	default:
		return item.ErrSyntax
	}
	if err != nil {
		return err
	}
	line, column := r.Place()
	return awserr.Unexpected("type", what, want, line, column)
}

// readVector reads values, each of which must have one type: of any other AWS says that it
// cannot read the request, without a text.
func readVector(r *item.Reader) (v vector, err error) {
	err = r.Array(func(int) error {
		v.length++
		if r.Kind() != item.KindObject {
			return item.ErrSyntax
		}
		types := 0
		err := r.Object(func(name []byte) error {
			types++
			if string(name) != "N" {
				v.other = true
				return readTyped(r, name)
			}
			if r.Kind() != item.KindString {
				return item.ErrSyntax
			}
			text, err := r.String()
			if _, failure := strconv.ParseFloat(text, 32); failure != nil || strings.Trim(text, "0123456789+-.eE") != "" {
				v.other = true
			}
			return err
		})
		if err == nil && types != 1 {
			err = item.ErrSyntax
		}
		return err
	})
	return v, err
}

func readOneType(r *item.Reader) error {
	if r.Kind() != item.KindObject {
		return item.ErrSyntax
	}
	types := 0
	err := r.Object(func(name []byte) error {
		types++
		return readTyped(r, name)
	})
	if err == nil && types != 1 {
		err = item.ErrSyntax
	}
	return err
}

// readTyped reads what stands behind the name of a type.
func readTyped(r *item.Reader, name []byte) error {
	switch string(name) {
	case "L":
		return r.Array(func(int) error { return readOneType(r) })
	case "M":
		return r.Object(func([]byte) error { return readOneType(r) })
	}
	if r.Null() {
		return item.ErrSyntax
	}
	return r.Skip()
}
