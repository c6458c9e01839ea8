package partiql

import (
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/schema"
)

var keys = schema.Keys{Hash: schema.Attribute{Name: "pk", Type: item.S}, Range: schema.Attribute{Name: "sk", Type: item.S}}

// plan parses a statement and holds it against the keys.
func plan(src string, params ...item.Value) error {
	s, e := Parse(src, params)
	if e != nil {
		return e
	}
	if s.Verb == Select {
		_, e = s.Plan(&keys)
	} else {
		_, e = s.Action(&keys, true)
	}
	if e != nil {
		return e
	}
	return nil
}

func TestErrors(t *testing.T) {
	const (
		malformed = "Statement wasn't well formed, can't be processed: "
		leftover  = malformed + "Unexpected token after expression"
		overflow  = "Number overflow. Attempting to store a number with magnitude larger than supported range under "
	)
	for _, row := range []struct{ src, want string }{
		{`SLECT * FROM "t"`, malformed + "Expected data manipulation"},
		{`UPDATE a-b SET x = 1`, malformed + "Expected data manipulation"},
		{``, malformed + "Expected data manipulation"},
		{`SELECT * FROM "t" WHERE pk = 1 foo`, leftover},
		{`SELECT * FROM "t" WHERE pk = 1 e5`, leftover},
		{`SELECT * FROM "t" WHERE pk = 1)`, leftover},
		{`INSERT INTO "t" VALUE {'pk': 970001} foo`, leftover},
		{`UPDATE "t" SET a = 9 WHERE pk = 970002 foo`, leftover},
		{`DELETE FROM "t" WHERE pk = 970004 ORDER BY pk`, leftover},
		{`SELECT * FROM "t" ORDER BY pk WHERE pk = 1`, leftover},
		{`FROM "t" SET c = 1 WHERE pk = 'x'`, leftover},
		{`INSERT INTO "t" x VALUE {'pk': 'x'}`, leftover},
		{`SELECT * FROM "t" WHERE pk = 1e2147483648`, malformed},
		{`SELECT * FROM "t" WHERE pk = 1e99999999999`, malformed},
		{`SELECT * FROM "t" WHERE pk = 1.5e-2147483647`, malformed},
		{`SELECT * FROM "t" WHERE pk = 1 # note`, malformed},
		{`SELECT * FROM "t" WHERE pk = 1 /* note`, malformed},
		{`SELECT * FROM "t" WHERE pk = 'x`, malformed},
		{`SELECT * FROM "t" u WHERE pk = 'x'`, "Aliasing is not supported"},
		{`SELECT * FROM "t" AS u WHERE pk = 'x'`, "Aliasing is not supported"},
		{`SELECT m.a AS b FROM "t" WHERE pk = 'x'`, "Aliasing is not supported"},
		{`SELECT a, n x FROM "t" WHERE pk = 'x'`, "Aliasing is not supported"},
		{`UPDATE "t" u SET a = 3 WHERE pk = 'x'`, "Aliasing is not supported"},
		{`DELETE FROM "t" u WHERE pk = 'x'`, "Aliasing is not supported"},
		{`SELECT * FROM "t" WHERE pk = 1e126`, overflow + "root"},
		{`INSERT INTO "t" VALUE {'pk': 1e126}`, overflow + "root"},
		{`INSERT INTO "t" VALUE {'pk': 1, 'm': {'x': 1e126}}`, overflow + "root.x"},
		{`INSERT INTO "t" VALUE {'pk': 1, 'l': [1, 1e126]}`, overflow + "root[1]"},
		{`SELECT * FROM "t" WHERE`, malformed + "Unexpected term"},
		{`SELECT * FROM "t" WHERE;`, malformed + "Unexpected term"},
		{`SELECT * FROM "t" WHERE NOT`, malformed + "Unexpected term"},
		{`SELECT * FROM "t" WHERE (`, malformed + "Unexpected term"},
		{`UPDATE "t" SET a = 1 WHERE`, malformed + "Unexpected term"},
		{`SELECT * FROM`, malformed + "Unexpected term"},
		{`SELECT * FROM "t" WHERE pk = 'a' AND`, malformed + "Missing right-hand side expression of infix operator"},
		{`SELECT * FROM "t" WHERE pk = 'a' OR`, malformed + "Missing right-hand side expression of infix operator"},
		{`SELECT * FROM "t" WHERE ORDER BY pk`, malformed + "Unexpected keyword"},
		{`SELECT * FROM "t" WHERE pk = 'a' AND x IS FOO`, malformed + "Expected type name"},
		{`SELECT * FROM "t" WHERE IS NULL`, malformed + "Unexpected operator"},
		{`SELECT * FROM "t" WHERE pk = LIKE`, malformed + "Unexpected operator"},
		{`DELETE FROM`, malformed + "Expected identifier for simple path"},
		{`DELETE FROM;`, malformed + "Expected identifier for simple path"},
		{`DELETE FROM WHERE pk = 'a'`, malformed + "Expected identifier for simple path"},
		{`SELECT * FROM "t" WHERE attribute_exists(m.inner)`, malformed + "Invalid path dot component"},
		{`FROM "t" SET c = 1`, "Where clause does not contain a mandatory equality on all key attributes"},
		{`FROM "t" WHERE a = 1 SET c = 1`, "Where clause does not contain a mandatory equality on all key attributes"},
		{`DELETE FROM "t" WHERE pk = 'x'`, "Where clause does not contain a mandatory equality on all key attributes"},
		{`DELETE FROM "t" WHERE pk = 'x' AND sk = 'y' OR a = 1`, "Where clause does not contain a mandatory equality on all key attributes"},
		{`SELECT attribute_exists(ss) FROM "t"`, "Unexpected path component at 1:8:16"},
		{`SELECT COUNT(*) FROM "t"`, "Unexpected path component at 1:8:5"},
		{`SELECT pk, COUNT(a, (b)), x FROM "t" WHERE pk = 'a'`, "Unexpected path component at 1:12:5"},
		{`SELECT COUNT(* FROM "t"`, malformed + "Unexpected term"},
		{`SELECT COUNT(*) FROM "t" WHERE`, malformed + "Unexpected term"},
		{`x IS INT4`, "Unsupported operation: IsType"},
		{`x IS CHARACTER VARYING`, "Unsupported operation: IsType"},
		{`"x" IS MISSING`, "Unsupported operation: IsType"},
		{`x IS INT4 foo`, malformed + "Unexpected token after expression"},
		{`x IS FOO`, malformed + "Expected type name"},
		{`SELECT * FROM "t" WHERE EXISTS(ss)`, "Unrecognized function: exists at 1:25:6"},
		{`SELECT * FROM "t" WHERE attribute_exists('ss')`, "Operator or function requires a document path; operator or function: attribute_exists"},
		{`SELECT * FROM "t" WHERE attribute_exists()`, "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 0"},
		{`SELECT * FROM "t" WHERE attribute_type(l, 1)`, "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N"},
		{`UPDATE "t" SET x = set_add(ss, <<'x'>>)`, "The first argument to SET_ADD must equal the assignment value at 1:20:7"},
		{`UPDATE "t" SET ss = set_add(ss, 'x')`, "The second argument to SET_ADD must be a value with type SET at 1:29:2"},
		{"UPDATE \"t\"\nSET \"Bä\" = set_delete(\"Bä\", ['x'])", "The second argument to SET_DELETE must be a value with type SET at 2:23:4"},
		{`UPDATE "t" SET ss = set_add(ss)`, "SET_ADD must have exactly two arguments at 1:21:7"},
		{`UPDATE "t" SET ss = set_add(ss, <<>>)`, "Empty bags are not supported"},
		{`UPDATE "t" SET ss = set_add(ss, <<'x', 'x'>>)`, "One or more parameter values were invalid: Input collection [x, x] contains duplicates."},
		{`UPDATE "t" SET n = set_add(n, <<2, 2.0>>)`, "One or more parameter values were invalid: Input collection [2, 2.0] contains duplicates! under root"},
		{`INSERT INTO "t" VALUE {'pk':'bag', 's':<<1, 'a'>>}`, "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags"},
		{`INSERT INTO "t" VALUE {'pk':'x', 'ss': set_add(<<'a'>>, <<'b'>>)}`, "Unsupported data type: set_add under key root at 1:40:7"},
		{`SELECT l[-1] FROM "t"`, "List index is not within the allowable range; index: [-1] at 1:11:1"},
		{`SELECT l[2147483648] FROM "t"`, "List index is not within the allowable range; index: [2147483648] at 1:10:10"},
		{`DELETE FROM "t" WHERE pk = 'x' RETURNING MODIFIED OLD *`, "Invalid returning clause: RETURNING MODIFIED OLD *. Only RETURNING ALL OLD * is allowed in DELETE statements."},
		{`SELECT sk FROM "t" ORDER BY sk`, "Must have WHERE clause in the statement when using ORDER BY clause."},
		{`SELECT sk FROM "t" WHERE pk = 'o' ORDER BY Total DESC`, "Attribute Total in ORDER BY clause must be part of the primary key"},
		{`SELECT sk FROM "t" WHERE pk > 'a' ORDER BY sk`, "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."},
		{`SELECT sk FROM "t" WHERE pk IN ['o', 'p'] ORDER BY sk`, "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause."},
		{`SELECT * FROM "t" WHERE pk = ?`, "Number of parameters in request and statement don't match."},
		{`SELECT * FROM ""."gsi" WHERE pk = ?`, "Path component cannot be an empty string"},             // what FROM names comes first
		{`SELECT * FROM "t" WHERE s IN '?, 'a']`, "Statement wasn't well formed, can't be processed: "}, // tokens come before what they say
		{`EXISTS(SELECT * FROM "t" WHERE pk = 'x' AND sk = 'y')`, "EXISTS() must contain a single item read with additional condition"},
		{`UPDATE "t" SET a = 1, a.b = 2`, "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a]"},
		{`INSERT INTO "t" VALUE {'pk': 'x', 'd': ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"},
		{`UPDATE "t" SET a=0, a=set_add(0,<< `, malformed + "Unexpected term"},
		{`UPDATE "t" REMOVE a, b WHERE pk = 'x'`, malformed + "Unexpected token after expression"},
		{`SELECT * FROM "t" WHERE a IN [` + strings.Repeat("1,", 100) + `1]`, "The IN operator is provided with too many operands; number of operands: 101"},
		{`SELECT * FROM "t" WHERE a IN [` + strings.Repeat("1,", 99) + `1]`, ""},
		{`SELECT * FROM "t" WHERE pk = 'a'` + strings.Repeat(" AND x = 1", 150), "The expression contains too many operators; operator count: 301"},
		{`SELECT * FROM "t" WHERE pk = 'a'` + strings.Repeat(" AND x IS NOT NULL", 100), "The expression contains too many operators; operator count: 301"},
		{`SELECT * FROM "t" WHERE pk = 'a'` + strings.Repeat(" AND size(x) > 0", 99), ""},
		{`SELECT * FROM "t" WHERE pk = 'a'` + strings.Repeat(" AND x NOT BETWEEN 1 AND 3", 99), ""},
		{"NOT NOT", malformed + "Unexpected term"},
		// What is taken.
		{`select/**/* from "t" -- the table` + "\n" + `where pk/* key */='c' and sk='1' --`, ""},
		{`SELECT a.b, l[0], "q""x"['y'] FROM t WHERE pk IN ('a', 'b') ORDER BY pk DESC, sk ASC;`, ""},
		{`SELECT * FROM "t"."i" WHERE NOT (n > -5 OR n BETWEEN - 2 AND +5) AND x IS NOT MISSING AND x IS NOT NULL AND size(x) != 3`, ""},
		{`UPDATE "t" SET n=n-1 SET l = LIST_APPEND(l, [4, <<'a', 'b'>>]) REMOVE x REMOVE y[1] SET s = set_add(s, <<1, 2>>) WHERE (pk='a' AND sk='b') AND c = 'it''s' RETURNING ALL NEW *`, ""},
		{`FROM "t" WHERE pk = 'x' AND sk = 'y' REMOVE a`, ""},
		{`INSERT INTO "t" VALUE {'pk': 'x', 'sk': 'y', 'n': null, 'b': TRUE, 'm': {'k': [1E3, -0, .5]}}`, ""},
	} {
		got := ""
		if err := plan(row.src); err != nil {
			got = strings.TrimPrefix(err.Error(), "ValidationException: ")
		}
		if got != row.want {
			t.Errorf("%s\n got %s\nwant %s", row.src, got, row.want)
		}
	}
}

// FuzzParse: no text makes the parser panic, and what it takes can be planned.
func FuzzParse(f *testing.F) {
	for _, src := range []string{
		`SELECT a.b, l[0] FROM "t"."i" WHERE pk = ? AND begins_with(sk, 'x') AND NOT (a IN [1, 2] OR b IS MISSING) ORDER BY sk DESC`,
		`INSERT INTO t VALUE {'pk': 'x', 'm': {'l': [1, -2.5e3, null, true, <<'a'>>]}}`,
		`UPDATE t SET a = b + 1, s = set_add(s, <<1>>) REMOVE c WHERE pk = 'x' AND sk = 'y' RETURNING ALL OLD *`,
		`DELETE FROM t WHERE pk = 'x' AND sk = 'y' AND size(a) > 3`,
		`EXISTS(SELECT * FROM t WHERE pk = 'x' AND sk = 'y' AND a = 1)`,
	} {
		f.Add(src)
	}
	it := item.NewItem([]item.Entry{{Name: "pk", Value: item.String("x")}, {Name: "a", Value: item.Number("1")}})
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 8192 {
			return
		}
		params := []item.Value{item.String("x")}
		if !strings.Contains(src, "?") {
			params = nil
		}
		s, e := Parse(src, params)
		if e != nil {
			return
		}
		if s.Verb == Select {
			r, e := s.Plan(&keys)
			if e != nil {
				return
			}
			if _, e := r.Filter.Eval(it); e != nil {
				t.Error(e)
			}
			if err := s.Show(it).Validate(); err != nil {
				t.Error(err)
			}
			return
		}
		w, e := s.Action(&keys, true)
		if e != nil {
			return
		}
		if w.Item != nil && w.Item.Validate() != nil {
			t.Error("an item that is none")
		}
		if w.Update != nil {
			if new, e := w.Update.Apply(it, it); e == nil && new.Validate() != nil {
				t.Error("an update makes an item that is none")
			}
		}
		if _, e := w.Condition.Eval(nil); e != nil {
			t.Error(e)
		}
	})
}
