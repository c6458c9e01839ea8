package request

import (
	"strings"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/item"
)

// SearchVectors has a door of its own at AWS: it names the first required member that is
// missing and the place at which the body ends, and checks the others in the form of the
// current layer, then the table's name in that of the older one.

// searchRules are in the order in which AWS looks for what is missing.
var searchRules = []rule{
	{name: "IndexName", required: true}, {name: "SearchVector", kind: aVector, required: true}, {name: "TableName", required: true},
	{name: "TopK", kind: aNumber, required: true}, {name: "ReturnConsumedCapacity"},
	{name: "SearchConditionExpression"}, {name: "ProjectionExpression"},
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
	vector, _ := g.values[1].(int)
	table, _ := g.values[2].(string)
	topK, _ := g.values[3].(int64)
	var v violations
	if characters(index) < 3 {
		v.unvalued("IndexName", "Member must have length greater than or equal to 3")
	}
	if vector == 0 {
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
	return nil
}

// readVector counts values, each of which must have one type: of any other AWS says that it
// cannot read the request, without a text.
func readVector(r *item.Reader) (n int, err error) {
	err = r.Array(func(int) error { n++; return readOneType(r) })
	return n, err
}

func readOneType(r *item.Reader) error {
	if r.Kind() != item.KindObject {
		return item.ErrSyntax
	}
	types := 0
	err := r.Object(func(name []byte) error {
		types++
		switch string(name) {
		case "L":
			return r.Array(func(int) error { return readOneType(r) })
		case "M":
			return r.Object(func([]byte) error { return readOneType(r) })
		}
		return r.Skip()
	})
	if err == nil && types != 1 {
		err = item.ErrSyntax
	}
	return err
}
