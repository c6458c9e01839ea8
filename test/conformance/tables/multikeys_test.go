package tables

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// orders makes a table whose index pair has the key h1 h2/a b c (a a number), and sorted
// has h1/a b; single has h1/b. The items k1 to k6 are in all of them, k7 lacks c and k8
// lacks h2.
func orders(t *testing.T, target *harness.Target) string {
	t.Helper()
	name := made(t, target, key("pk")+","+definitions("pk:S h1:S h2:S a:N b:S c:B")+`,"GlobalSecondaryIndexes":[`+
		index("pair", "h1 h2/a b c", "ALL")+","+index("sorted", "h1/a b", "ALL")+","+index("single", "h1/b", "ALL")+`]`)
	for i, it := range []string{
		`"h2":{"S":"y"},"a":{"N":"10"},"b":{"S":"m"},"c":{"B":"AQ=="}`,
		`"h2":{"S":"y"},"a":{"N":"9"},"b":{"S":"z"},"c":{"B":"AQ=="}`,
		`"h2":{"S":"y"},"a":{"N":"10"},"b":{"S":"a"},"c":{"B":"/w=="}`,
		`"h2":{"S":"y"},"a":{"N":"10"},"b":{"S":"a"},"c":{"B":"AQ=="}`,
		`"h2":{"S":"z"},"a":{"N":"1"},"b":{"S":"a"},"c":{"B":"AQ=="}`,
		`"h2":{"S":"y"},"a":{"N":"-1"},"b":{"S":"b"},"c":{"B":"AQ=="}`,
		`"h2":{"S":"y"},"a":{"N":"1"},"b":{"S":"b"}`,
		`"a":{"N":"1"},"b":{"S":"c"},"c":{"B":"AQ=="}`,
	} {
		target.Raw(t, "PutItem", fmt.Sprintf(`{"TableName":"%s","Item":{"pk":{"S":"k%d"},"h1":{"S":"x"},%s}}`, name, i+1, it)).Want(t, "", "")
	}
	return name
}

// terms turns "a=10 b>m c^AQ==" into a key condition, whose attributes are typed by
// their names, with #n and :n as placeholders; ^ is begins_with. Of older it makes the
// older parameter.
func terms(text string, older bool) string {
	var conditions, names, values, comparisons []string
	for i, term := range strings.Fields(text) {
		at := strings.IndexAny(term, "=<>^")
		attribute, op, value := term[:at], term[at:at+1], term[at+1:]
		kind := map[string]string{"a": "N", "c": "B"}[attribute]
		if kind == "" {
			kind = "S"
		}
		names = append(names, fmt.Sprintf(`"#%d":"%s"`, i, attribute))
		values = append(values, fmt.Sprintf(`":%d":{"%s":"%s"}`, i, kind, value))
		if op == "^" {
			conditions = append(conditions, fmt.Sprintf("begins_with(#%d, :%d)", i, i))
		} else {
			conditions = append(conditions, fmt.Sprintf("#%d %s :%d", i, op, i))
		}
		comparisons = append(comparisons, fmt.Sprintf(`"%s":{"ComparisonOperator":"%s","AttributeValueList":[{"%s":"%s"}]}`,
			attribute, map[string]string{"=": "EQ", "<": "LT", ">": "GT", "^": "BEGINS_WITH"}[op], kind, value))
	}
	if older {
		return `"KeyConditions":{` + strings.Join(comparisons, ",") + `}`
	}
	return `"KeyConditionExpression":"` + strings.Join(conditions, " AND ") + `","ExpressionAttributeNames":{` + strings.Join(names, ",") +
		`},"ExpressionAttributeValues":{` + strings.Join(values, ",") + `}`
}

func TestKeysOfSeveralAttributes(t *testing.T) {
	target := harness.The(t)
	table := orders(t, target)
	equality := func(missing string) string {
		return "HASH key attributes " + missing + " must have equality conditions specified in the query!"
	}
	gap := func(missing, present string) string {
		return "RANGE key attributes " + missing + " must have equality conditions specified in the query because a condition is present on key attribute " + present + "!"
	}
	for _, q := range []struct{ index, terms, want string }{
		// [2.01 T AL/PS 10 H] equality on all HASH attributes, a prefix of the RANGE ones;
		// [2.02 C DX euw2 10-09 H] in the order of the schema, without items that lack one
		{"pair", "h1=x h2=y", "k6 k2 k4 k3 k1"},
		{"pair", "h2=y h1=x a=10", "k4 k3 k1"},
		{"pair", "h1=x b=a a=10 h2=y", "k4 k3"},
		{"pair", "h1=x h2=y a=10 b=a c>AQ==", "k3"},
		{"pair", "h1=x h2=y a=10 b^a", "k4 k3"},
		{"pair", "h1=x h2=y a<10", "k6 k2"},
		{"sorted", "h1=x", "k6 k7 k5 k8 k2 k4 k3 k1|k6 k5 k7 k8 k2 k4 k3 k1|k6 k7 k5 k8 k2 k3 k4 k1|k6 k5 k7 k8 k2 k3 k4 k1"},
		// [2.03 T PS; C DX euw2 10-09 H] gaps
		{"pair", "h1=x h2=y b=a", gap("a", "b")},
		{"pair", "h1=x h2=y a>1 b=a", gap("a", "b")},
		{"pair", "h1=x h2=y c=AQ==", gap("a, b", "c")},
		{"pair", "h1=x h2=y a>1 b=m c=AQ==", gap("a", "c")},
		{"sorted", "h1=x b=a", gap("a", "b")},
		// [2.04 T PS; C DX euw2 10-09 H] HASH attributes
		{"pair", "h1=x", equality("h2")},
		{"pair", "h1=x h2>a", equality("h2")},
		{"pair", "a=10", equality("h1, h2")},
		{"sorted", "h1>a a=10", equality("h1")},
		{"single", "b=a", "Query condition missed key schema element: h1!"},
		{"single", "h1>a", "Query key condition not supported!"}, // [3.08 C DX 10 H]
		// [2.05 C DX euw2 10-09 H] an attribute outside of the key
		{"pair", "h1=x h2=y pk=k1", "Query condition missed key schema element: a!"},
		{"pair", "h1=x h2=y a=10 pk=k1", "Query condition missed key schema element: b!"},
		{"single", "h1=x pk=k1", "Query condition missed key schema element: b!"},
		{"single", "h1=x b=a a=10", "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)!"},
		{"", "pk=k1", "k1"},
	} {
		for _, older := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %s %t", q.index, q.terms, older), func(t *testing.T) {
				body := `{"TableName":"` + table + `",`
				if q.index != "" {
					body += `"IndexName":"` + q.index + `",`
				}
				reply := target.Raw(t, "Query", body+terms(q.terms, older)+`}`)
				if want, refused := strings.CutSuffix(q.want, "!"); refused {
					reply.Want(t, validation, want)
				} else if got := inOrder(t, reply); !contains(strings.Split(q.want, "|"), got) {
					t.Errorf("found %q, want %q", got, q.want)
				}
			})
		}
	}
	// [2.13 T AL H] no key attribute in a filter, no consistent read; [2.14 C DX euw2 08; T PS H]
	// statements: TestStatementsOnIndexes
	target.Raw(t, "Query", `{"TableName":"`+table+`","IndexName":"pair","KeyConditionExpression":"h1 = :x AND h2 = :x","FilterExpression":"b = :x","ExpressionAttributeValues":{":x":{"S":"x"}}}`).
		Want(t, validation, "Filter Expression can only contain non-primary key attributes: Primary key attribute: b")
	target.Raw(t, "Query", `{"TableName":"`+table+`","IndexName":"pair","ConsistentRead":true,"KeyConditionExpression":"h1 = :x AND h2 = :x","ExpressionAttributeValues":{":x":{"S":"x"}}}`).
		Want(t, validation, "Consistent reads are not supported on global secondary indexes")
	// [2.13 T AL H, 4.05] an empty value of any key attribute
	target.Raw(t, "PutItem", `{"TableName":"`+table+`","Item":{"pk":{"S":"e"},"h2":{"S":""}}}`).Want(t, validation,
		"One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an empty string value. IndexName: pair, IndexKey: h2")
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// inOrder shows the partition keys of the items of an answer, as they come.
func inOrder(t *testing.T, reply harness.Reply) string {
	t.Helper()
	if reply.Status != 200 {
		return reply.Type + ": " + reply.Message
	}
	var answer struct{ Items []map[string]map[string]any }
	reply.JSON(t, &answer)
	var list []string
	for _, it := range answer.Items {
		list = append(list, fmt.Sprint(it["pk"]["S"]))
	}
	return strings.Join(list, " ")
}

func TestStartKeysThatLeaveTheQuery(t *testing.T) {
	target := harness.The(t)
	table := orders(t, target)
	ranged := made(t, target, key("pk/sk")+","+definitions("pk:S sk:S"))
	const (
		oneRow  = "The query can return at most one row and cannot be restarted"
		outside = "The provided starting key is outside query boundaries based on provided conditions"
		broken  = "The provided starting key does not match the range key predicate"
		invalid = "The provided starting key is invalid"
	)
	start := func(h1, h2, a, b string) string {
		return `{"pk":{"S":"k1"},"h1":{"S":"` + h1 + `"},"h2":{"S":"` + h2 + `"},"a":{"N":"` + a + `"},"b":{"S":"` + b + `"},"c":{"B":"AQ=="}}`
	}
	for _, q := range []struct{ table, index, terms, start, want string }{
		// [2.06 C DX euw2 10-09 M] which part leaves the query first
		{table, "pair", "h1=x h2=y", start("q", "y", "1", "m"), oneRow},
		{table, "pair", "h1=x h2=y a=10", start("q", "y", "1", "m"), oneRow},
		{table, "pair", "h1=x h2=y", start("x", "q", "1", "m"), outside},
		{table, "pair", "h1=x h2=y a=10", start("x", "q", "1", "m"), broken},
		{table, "pair", "h1=x h2=y a=10", start("x", "q", "10", "m"), oneRow},
		{table, "pair", "h1=x h2=y a=10", start("x", "y", "9", "m"), broken},
		{table, "pair", "h1=x h2=y a=10 b>m", start("x", "y", "10", "a"), broken},
		{table, "pair", "h1=x h2=y a=10", start("x", "y", "10", "zz"), ""},
		{ranged, "", "pk=p", `{"pk":{"S":"q"},"sk":{"S":"s"}}`, outside},
		{ranged, "", "pk=p sk>m", `{"pk":{"S":"q"},"sk":{"S":"z"}}`, oneRow},
		{ranged, "", "pk=p sk>m", `{"pk":{"S":"q"},"sk":{"S":"a"}}`, broken},
		// [3.15 C DX R2 10-09 H] a start key that does not fit, or holds what is no value
		{ranged, "", "pk=p", `{"pk":{"S":"p"}}`, invalid},
		{ranged, "", "pk=p", `{"pk":{"S":"p"},"sk":{"N":"1"}}`, invalid},
		{ranged, "", "pk=p", `{"pk":{"S":"p"},"sk":{"S":"s"},"x":{"S":"s"}}`, invalid},
		{table, "pair", "h1=x h2=y", `{"pk":{"S":"p"}}`, invalid},
		{ranged, "", "pk=p", `{"pk":{"S":"p"},"sk":{"N":"x"}}`, "The parameter cannot be converted to a numeric value: x"},
		{ranged, "", "pk=p", `{"pk":{"S":"p"},"sk":{}}`, "The provided starting key is invalid: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"},
		// [3.16 C DX 10-09; T AL M] a table with a partition key only
		{table, "", "pk=k1", `{"pk":{"S":"k1"}}`, "The provided exclusive start key is invalid..."},
		{table, "", "pk=k1", `{"pk":{"S":"k2"}}`, "The provided exclusive start key is invalid..."},
	} {
		t.Run(q.terms+" "+q.start, func(t *testing.T) {
			body := `{"TableName":"` + q.table + `",`
			if q.index != "" {
				body += `"IndexName":"` + q.index + `",`
			}
			reply := target.Raw(t, "Query", body+terms(q.terms, false)+`,"ExclusiveStartKey":`+q.start+`}`)
			if q.want == "" {
				reply.Want(t, "", "")
			} else {
				reply.Want(t, validation, q.want)
			}
		})
	}
	// A table with a partition key only ends after its item, so that nothing asks behind
	// it.
	if got := string(target.Raw(t, "Query", `{"TableName":"`+table+`","Limit":1,`+terms("pk=k1", false)+`}`).Body); strings.Contains(got, "LastEvaluatedKey") {
		t.Errorf("a query that finds one item at most goes on: %s", got)
	}
	// [2.02 C DX euw2 10-09; T PS H] pages of an index go on with all of its key
	// attributes.
	first := target.Raw(t, "Query", `{"TableName":"`+table+`","IndexName":"pair","Limit":2,`+terms("h1=x h2=y", false)+`}`)
	var page struct{ LastEvaluatedKey map[string]any }
	first.JSON(t, &page)
	if len(page.LastEvaluatedKey) != 6 {
		t.Errorf("LastEvaluatedKey is %v", page.LastEvaluatedKey)
	}
}
