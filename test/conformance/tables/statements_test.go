package tables

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

const malformed = "Statement wasn't well formed, can't be processed: "

// statements makes a table of pk:S and sk:S for SELECT statements: with the indexes
// gsi-all of g, gsi-inc of g2 with the attribute p, lsi-keys of lk, and two with several
// attributes in one key. It has the items p/s1, p/s2, p/s3 and q/s1; s3 is in no index.
func statements(t *testing.T, target *harness.Target) string {
	t.Helper()
	name := made(t, target, key("pk/sk")+","+definitions("pk:S sk:S g:S g2:S lk:S")+
		`,"LocalSecondaryIndexes":[`+index("lsi-keys", "pk/lk", "KEYS_ONLY")+`],"GlobalSecondaryIndexes":[`+
		index("gsi-all", "g", "ALL")+","+index("gsi-inc", "g2", "p")+","+index("two-hashes", "g g2", "ALL")+","+index("two-ranges", "g/g2 lk", "ALL")+`]`)
	for _, it := range []string{
		`{"pk":{"S":"p"},"sk":{"S":"s1"},"g":{"S":"x"},"g2":{"S":"x2"},"lk":{"S":"l1"},"p":{"S":"P1"},"o":{"S":"N"},"n":{"N":"1"},"b":{"BOOL":true}}`,
		`{"pk":{"S":"p"},"sk":{"S":"s2"},"g":{"S":"y"},"g2":{"S":"y2"},"lk":{"S":"l2"},"p":{"S":"P2"},"o":{"S":"M"},"n":{"N":"2"},"b":{"BOOL":false}}`,
		`{"pk":{"S":"p"},"sk":{"S":"s3"},"p":{"S":"P3"},"n":{"N":"3"}}`,
		`{"pk":{"S":"q"},"sk":{"S":"s1"},"g":{"S":"x"},"g2":{"S":"x2"},"lk":{"S":"l1"},"p":{"S":"P4"},"n":{"N":"4"}}`,
	} {
		target.Raw(t, "PutItem", `{"TableName":"`+name+`","Item":`+it+`}`).Want(t, "", "")
	}
	return name
}

// statement is a statement and its answer: an error's text when want ends in an
// exclamation mark, which is not part of it, or else the items as pk/sk.
type statement struct{ fact, text, want string }

// execute sends statements in which "t" is the table. The items of an answer are
// compared in any order; a statement that ends in "!" is sent with ConsistentRead.
func execute(t *testing.T, target *harness.Target, table string, list []statement) {
	t.Helper()
	for _, s := range list {
		t.Run(s.text, func(t *testing.T) {
			text, consistent := strings.CutSuffix(s.text, "!")
			body, err := json.Marshal(map[string]any{"Statement": strings.ReplaceAll(text, `"t"`, `"`+table+`"`), "ConsistentRead": consistent})
			if err != nil {
				t.Fatal(err)
			}
			reply := target.Raw(t, "ExecuteStatement", string(body))
			if want, refused := strings.CutSuffix(s.want, "!"); refused {
				reply.Want(t, validation, want)
				return
			}
			if got := found(t, reply); got != s.want {
				t.Errorf("%s: found %q, want %q", s.fact, got, s.want)
			}
		})
	}
}

// found shows the items of an answer as pk/sk, sorted.
func found(t *testing.T, reply harness.Reply) string {
	t.Helper()
	if reply.Status != http.StatusOK {
		return fmt.Sprintf("%s: %s", reply.Type, reply.Message)
	}
	var answer struct{ Items []map[string]map[string]any }
	reply.JSON(t, &answer)
	var list []string
	for _, it := range answer.Items {
		list = append(list, fmt.Sprint(it["pk"]["S"], "/", it["sk"]["S"]))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestStatementsOnIndexes(t *testing.T) {
	target := harness.The(t)
	execute(t, target, statements(t, target), []statement{
		{"", `SELECT * FROM "t"."gsi-all"`, "p/s1 p/s2 q/s1"},
		{"", `SELECT * FROM "t"."gsi-all" WHERE g='x'`, "p/s1 q/s1"},
		{"[7.01 C DX euw2 08-15 H]", `SELECT * FROM "t"."nope"`, "The table does not have the specified index!"},
		{"[7.01 C DX euw2 08-15 H]", `SELECT * FROM "t"."GSI-ALL"!`, "The table does not have the specified index!"},
		{"[7.01 C DX euw2 08-15 H]", `SELECT * FROM "t"."t"`, "The table does not have the specified index!"},
		{"[7.02 C DX euw2 08 H]", `SELECT * FROM "t"."gsi-all" WHERE g='x'!`, "Strongly consistent read is not supported on Global Secondary Indexes!"},
		{"[7.02 C DX euw2 08 H]", `SELECT * FROM "t"."lsi-keys" WHERE pk='p'!`, "p/s1 p/s2"},
		{"[7.03 T PS euw1 09-02 H]", `SELECT * FROM "t"."gsi-all"."more"`, "A path may contain at most 2 components in the FROM clause!"},
		{"[7.04 T PS euw1 09-02 H]", `SELECT * FROM "t".""`, "Path component cannot be an empty string!"},
		{"[7.04 T PS euw1 09-02 H]", `SELECT * FROM ""."gsi-all"`, "Path component cannot be an empty string!"},
		{"[7.04 T PS euw1 09-02 H]", `SELECT * FROM ""`, "Path component cannot be an empty string!"},
		{"[7.05 T PS euw1 09-02 H]", `INSERT INTO "t"."nope" VALUE {'pk':'w','sk':'w'}`, "FROM clause may only contain a single table name in data manipulation statements...!"},
		{"[7.06 T PS euw1 09-02 H]", `UPDATE "t"."nope" SET n = 1 WHERE pk='p' AND sk='s1'`, "This operation is not supported on an index!"},
		{"[7.06 T PS euw1 09-02 H]", `DELETE FROM "absent"."gsi-all" WHERE pk='p' AND sk='s1'`, "This operation is not supported on an index!"},
		{"[7.07 C DX euw2 08 H]", `SELECT * FROM "t`, malformed + "!"},
		{"[7.07 C DX euw2 08 H]", `SELECT * FROM "t" x`, "Aliasing is not supported!"},

		{"[7.10 C DX euw2 08-17 H]", `SELECT o, p, n FROM "t"."gsi-inc"`, invalid + "Global secondary index gsi-inc does not project [o, n]!"},
		{"[7.10 C DX euw2 08-17 H]", `SELECT n, o FROM "t"."gsi-inc" WHERE g2 = 'x2'`, invalid + "Global secondary index gsi-inc does not project [n, o]!"},
		{"[7.10 C DX euw2 08-17 H]", `SELECT pk, sk, p FROM "t"."gsi-inc" WHERE g2 = 'x2'`, "p/s1 q/s1"},
		{"[7.10 C DX euw2 08-17 H]", `SELECT pk, sk, n FROM "t"."lsi-keys" WHERE pk = 'p'`, "p/s1 p/s2"},
		{"[7.11 C DX euw2 08-17 H]", `SELECT * FROM "t"."gsi-inc" WHERE g2 = 'x2' AND o = 'N'`, invalid + "Secondary index gsi-inc does not project one or more filter attributes: [o]!"},
		{"[7.11 C DX euw2 08-17 H]", `SELECT * FROM "t"."gsi-inc" WHERE g2 IN ['x2', 'y2'] AND NOT o = 'N'`, invalid + "Secondary index gsi-inc does not project one or more filter attributes: [o]!"},
		{"[7.11 C DX euw2 08-17 H]", `SELECT * FROM "t"."lsi-keys" WHERE pk = 'p' AND p IS MISSING`, invalid + "Secondary index lsi-keys does not project one or more filter attributes: [p]!"},
		{"[7.11 C DX euw2 08-17 H]", `SELECT * FROM "t"."lsi-keys" WHERE pk = 'p' AND begins_with(p, 'P')`, invalid + "Secondary index lsi-keys does not project one or more filter attributes: [p]!"},
		{"[7.12 C DX euw2 08-17 H]", `SELECT * FROM "t"."gsi-inc" WHERE o = 'N'`, ""},
		{"[7.12 C DX euw2 08-17 H]", `SELECT * FROM "t"."gsi-inc" WHERE NOT o = 'N'`, "p/s1 p/s2 q/s1"},
		{"[7.12 C DX euw2 08-17 H]", `SELECT * FROM "t"."gsi-inc" WHERE o IS MISSING AND p = 'P1'`, "p/s1"},
		{"[7.12 C DX euw2 08-17 H]", `SELECT * FROM "t"."lsi-keys" WHERE o = 'N'`, ""},
		{"[7.13 C DX euw2 08-17 H]", `SELECT * FROM "t"."gsi-inc" WHERE (g2 = 'x2' AND o = 'N') OR g2 = 'y2'`, "p/s2"},
		{"[7.13 C DX euw2 08-17 H]", `SELECT * FROM "t"."gsi-inc" WHERE o = 'N' OR p = 'P1'`, "p/s1"},

		{"[7.20 C DX euw2 08 H]", `SELECT * FROM "t"."two-hashes"`, "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.!"},
		{"[7.20 C DX euw2 08 H]", `SELECT * FROM "t"."two-ranges" WHERE g = 'x'`, "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.!"},
		{"[7.20 C DX euw2 08 H]", `SELECT * FROM "t" WHERE pk = 'q'`, "q/s1"},
		{"[7.21 C DX euw2 08/10 H]", `SELECT * FROM "t"."two-hashes" WHERE pk = 1e126`, "Number overflow. Attempting to store a number with magnitude larger than supported range under root!"},
		{"[7.21 C DX euw2 08/10 H]", `SELECT * FROM "t"."two-hashes" WHERE`, malformed + "Unexpected term!"},
		{"[7.21 C DX euw2 08/10 H]", `SELECT * FROM "t"."two-hashes" WHERE g = 1 ORDER BY n!`, "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys.!"},
	})
}

func TestStatementsReadBranches(t *testing.T) {
	target := harness.The(t)
	table := statements(t, target)
	const overlap = "Overlapping conditions with range keys are not supported in where clause!"
	execute(t, target, table, []statement{
		// [7.34 C DX euw2 10 M] branches and members of IN that reach one item
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk = 'p' OR pk = 'p'`, overlap},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk IN ['p', 'p']`, overlap},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk = 'p' AND sk >= 's1' OR pk = 'p' AND sk <= 's1'`, overlap},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk = 'p' AND (sk = 's1' OR n = 2)`, overlap},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk = 'p' AND begins_with(sk, 's') OR pk IN ['q', 'p'] AND sk = 's2'`, overlap},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk = 'p' AND sk > 's1' OR pk = 'p' AND sk <= 's1'`, "p/s1 p/s2 p/s3"},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk = 'p' AND sk = 's1' OR pk = 'q'`, "p/s1 q/s1"},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE (pk = 'p' OR pk = 'q') AND sk IN ['s1', 's3'] AND n > 1`, "p/s3 q/s1"},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk = 'p' AND (n = 1 OR n = 2)`, "p/s1 p/s2"},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk = 'p' AND sk > 's1' AND sk < 's3' OR pk = 'p' AND sk = 's2'`, "p/s2"},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk = 'p' AND NOT sk = 's1' OR pk = 'p' AND sk = 's2'`, "p/s2 p/s3"},
		{"[7.34 C DX euw2 10 M]", `SELECT * FROM "t" WHERE pk = 'p' OR n = 4`, "p/s1 p/s2 p/s3 q/s1"},
		// [7.21 C DX euw2 08/10 H] the types of key values, before all that WHERE and
		// ORDER BY must have
		{"", `SELECT * FROM "t" WHERE pk = {'a': 1}`, "Key value must be of type S, N, or B. Key name: pk, Key type: M!"},
		{"", `SELECT * FROM "t" WHERE pk = 1 OR n = 1`, "Key attribute's data type should match its data type in table's schema: Key pk!"},
		{"", `SELECT * FROM "t" WHERE n = 1 OR pk = 1`, "p/s1"},
		{"", `DELETE FROM "t" WHERE pk = 'p' AND sk = 1`, "Key attribute's data type should match its data type in table's schema: Key sk!"},
		{"", `UPDATE "t" SET n = 1 WHERE pk = 'p' AND sk = 's1' AND sk = 's2'`, "Multiple conditions on same key sk. Only single item Update/Insert/Delete are supported!"},
		{"", `SELECT * FROM "t" WHERE pk = 'p' OR pk = 'p' ORDER BY n`, "Attribute n in ORDER BY clause must be part of the primary key!"},
		{"", `SELECT * FROM "t" WHERE pk IN ['p', 'p'] ORDER BY sk`, overlap},
	})
	// A statement of branches reads them, and is charged for no more than one of them
	// where the others are empty.
	var answer struct {
		ConsumedCapacity struct{ CapacityUnits float64 }
	}
	target.Raw(t, "ExecuteStatement", `{"Statement":"SELECT * FROM \"`+table+`\" WHERE pk = 'none' OR pk = 'q'","ReturnConsumedCapacity":"TOTAL"}`).JSON(t, &answer)
	if answer.ConsumedCapacity.CapacityUnits != 1 {
		t.Errorf("two branches are charged %v, want 2 x 0.5", answer.ConsumedCapacity.CapacityUnits)
	}
	// ORDER BY is of the partitions, and of the sort key in each.
	var ordered struct{ Items []map[string]map[string]any }
	target.Raw(t, "ExecuteStatement", `{"Statement":"SELECT * FROM \"`+table+`\" WHERE pk = 'q' OR pk = 'p' AND sk > 's1' ORDER BY pk ASC, sk DESC"}`).JSON(t, &ordered)
	got := ""
	for _, it := range ordered.Items {
		got += fmt.Sprint(it["pk"]["S"], it["sk"]["S"], " ")
	}
	if got != "ps3 ps2 qs1 " {
		t.Errorf("ordered: %s", got)
	}
}

// Condition functions are booleans, which can be compared.
func TestStatementsCompareTests(t *testing.T) {
	target := harness.The(t)
	execute(t, target, statements(t, target), []statement{
		{"", `SELECT * FROM "t" WHERE attribute_exists(o) = true`, "p/s1 p/s2"},
		{"", `SELECT * FROM "t" WHERE attribute_exists(o) = false`, "p/s3 q/s1"},
		{"", `SELECT * FROM "t" WHERE false = attribute_not_exists(o)`, "p/s1 p/s2"},
		{"", `SELECT * FROM "t" WHERE attribute_exists(o) <> false`, "p/s1 p/s2"},
		{"", `SELECT * FROM "t" WHERE attribute_exists(o) = b`, "p/s1"},
		{"", `SELECT * FROM "t" WHERE b <> attribute_exists(o)`, "p/s2 p/s3 q/s1"},
		{"", `SELECT * FROM "t" WHERE attribute_exists(o) = 1`, ""},
		{"", `SELECT * FROM "t" WHERE size(o) = attribute_exists(o)`, ""},
		{"", `SELECT * FROM "t" WHERE attribute_exists(o) = attribute_exists(g)`, "p/s1 p/s2 p/s3"},
		{"", `SELECT * FROM "t" WHERE attribute_exists(o) IN [b, false]`, "p/s1 p/s3 q/s1"},
		{"", `SELECT * FROM "t" WHERE b IN [attribute_exists(o)]`, "p/s1"},
		{"", `SELECT * FROM "t" WHERE pk = 'p' AND begins_with(sk, 's') = true AND NOT contains(p, '3') = true`, "p/s1 p/s2"},
		{"", `SELECT * FROM "t" WHERE attribute_exists(o) < true`, "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL!"},
	})
}

func TestStatementsInBatchesAndTransactions(t *testing.T) {
	target := harness.The(t)
	table := statements(t, target)
	batch := func(statements ...string) harness.Reply {
		return target.Raw(t, "BatchExecuteStatement", `{"Statements":[{"Statement":"`+strings.ReplaceAll(strings.Join(statements, `"},{"Statement":"`), "$T", `\"`+table+`\"`)+`"}]}`)
	}
	transaction := func(statements ...string) harness.Reply {
		return target.Raw(t, "ExecuteTransaction", `{"TransactStatements":[{"Statement":"`+strings.ReplaceAll(strings.Join(statements, `"},{"Statement":"`), "$T", `\"`+table+`\"`)+`"}]}`)
	}
	const one = "Select statements within BatchExecuteStatement must specify the primary key in the where clause."
	const multi = "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
	// [7.08 C DX euw2 08 H] an index, or more or less than the key; [7.21 C DX euw2 08/10 H]
	// several attributes come before that; [7.34 C DX euw2 10 M] IN with one value is =.
	var slots struct {
		Responses []struct {
			Error struct{ Code, Message string }
			Item  map[string]any
		}
	}
	batch(`SELECT * FROM $T.\"gsi-all\" WHERE pk='p' AND sk='s1'`, `SELECT * FROM $T WHERE pk='p'`, `SELECT * FROM $T.\"two-hashes\"`,
		`SELECT * FROM $T WHERE pk='p' AND sk='s1' AND n = 1`, `SELECT * FROM $T WHERE pk IN ['p'] AND sk = 's1'`,
		`SELECT * FROM $T WHERE pk='p' AND sk=1`, `SELECT * FROM $T WHERE pk = ?`).JSON(t, &slots)
	for i, want := range []string{one, one, multi, one, "", "Key attribute's data type should match its data type in table's schema: Key sk", "Number of parameters in request and statement don't match."} {
		r := slots.Responses[i]
		if r.Error.Message != want || want != "" && r.Error.Code != "ValidationError" || (want == "") != (r.Item != nil) {
			t.Errorf("statement %d of the batch: %+v, want %q", i, r, want)
		}
	}
	batch(`SELECT * FROM $T WHERE pk='p' AND sk='s1'`, `SELECT * FROM $T WHERE pk IN ['p'] AND sk='s1'`).Want(t, validation, "Provided list of item keys contains duplicates")

	transaction(`SELECT * FROM $T.\"gsi-all\" WHERE pk='p' AND sk='s1'`).Want(t, validation,
		"Validation failed in TransactStatements[0]: Reads on indices are not supported within transactions.")
	transaction(`SELECT * FROM $T.\"two-hashes\"`).Want(t, validation,
		"Validation failed in TransactStatements[0]: Reads on indices are not supported within transactions.")
	// [7.37 C DX 10 M] writes answer with no items
	if r := transaction(`UPDATE $T SET n = 5 WHERE pk='p' AND sk='s1'`); r.Status != http.StatusOK || !strings.Contains(string(r.Body), `"Responses":[]`) {
		t.Errorf("a transaction of writes answers %s", r.Body)
	}
	if r := target.Raw(t, "ExecuteStatement", `{"Statement":"DELETE FROM \"`+table+`\" WHERE pk='none' AND sk='s1'"}`); r.Status != http.StatusOK || string(r.Body) != `{"Items":[]}` {
		t.Errorf("a write answers %s", r.Body)
	}
	// [7.07 C DX euw2 08 H] a missing table
	target.Raw(t, "ExecuteStatement", `{"Statement":"SELECT * FROM \"absent-table\" WHERE pk='p'"}`).Want(t, notFound, "Requested resource not found")
	// [7.33 C DX euw2 10 H] parameters, and a key attribute that is set
	target.Raw(t, "ExecuteStatement", `{"Statement":"SELECT * FROM \"`+table+`\" WHERE pk=? AND sk=?","Parameters":[{"S":"p"}]}`).Want(t, validation, "Number of parameters in request and statement don't match.")
	if got := found(t, target.Raw(t, "ExecuteStatement", `{"Statement":"SELECT * FROM \"`+table+`\" WHERE pk=? AND sk=?","Parameters":[{"S":"p"},{"S":"s1"},{"S":"more"}]}`)); got != "p/s1" {
		t.Errorf("with a parameter too many: %s", got)
	}
	target.Raw(t, "ExecuteStatement", `{"Statement":"UPDATE \"`+table+`\" SET sk='x' WHERE pk='none' AND sk='s1'"}`).Want(t, validation,
		invalid+"Cannot update attribute sk. This attribute is part of the key")
	// [7.14 C DX 08 H] a token is of its statement and index
	var page struct{ NextToken string }
	target.Raw(t, "ExecuteStatement", `{"Statement":"SELECT * FROM \"`+table+`\".\"gsi-all\"","Limit":1}`).JSON(t, &page)
	for _, text := range []string{`SELECT * FROM \"` + table + `\"`, `SELECT * FROM \"` + table + `\".\"gsi-inc\"`, `SELECT  * FROM \"` + table + `\".\"gsi-all\"`} {
		target.Raw(t, "ExecuteStatement", `{"Statement":"`+text+`","Limit":1,"NextToken":"`+page.NextToken+`"}`).Want(t, validation, "NextToken does not match request")
	}
}

func TestStatementLiterals(t *testing.T) {
	target := harness.The(t)
	execute(t, target, statements(t, target), []statement{
		{"[7.32 C DX euw2 10 M]", `SELECT * FROM "t" WHERE n = 1e2147483648`, malformed + "!"},
		{"[7.32 C DX euw2 10 M]", `SELECT * FROM "t" WHERE n = 1e126`, "Number overflow. Attempting to store a number with magnitude larger than supported range under root!"},
		{"[7.32 C DX euw2 10 M]", `INSERT INTO "t" VALUE {'pk':'w','sk':'w','m':{'x':1e126}}`, "Number overflow. Attempting to store a number with magnitude larger than supported range under root.x!"},
		{"[7.32 C DX euw2 10 M]", `INSERT INTO "t" VALUE {'pk':'w','sk':'w','l':[1,1e-131]}`, "Number underflow. Attempting to store a number with magnitude smaller than supported range under root[1]!"},
		{"[1.20 T PS R4 10-09 H]", `SELECT * FROM "t" WHERE n = 1e2147483647`, "Number underflow. Attempting to store a number with magnitude smaller than supported range under root!"},
		{"[1.34 C DX euw2 10 M]", `INSERT INTO "t" VALUE {'pk':'w','sk':'w','s':<<2, 1, 2>>}`, invalid + "Input collection [2, 1, 2] contains duplicates! under root!"},
		{"[7.38 T PS euw2 10 H]", `x IS INT4`, "Unsupported operation: IsType!"},
		{"[7.38 T PS euw2 10 H]", `x IS CHARACTER VARYING`, "Unsupported operation: IsType!"},
		{"", `UPDATE "t" SET n = 1e126 WHERE pk = 'p' AND sk = <<1, 'a'>>`, "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags!"},
		{"", `SELECT * FROM "t" WHERE o IS INT`, "Unsupported data type for IS operator: IntegerType. Supported data types are [MISSING, NULL, BOOLEAN, BLOB, STRING, NUMERIC, STRUCT, TUPLE, LIST] at...!"},
		{"", `SELECT * FROM "t" WHERE n IN [1, n]`, "The first operand must be distinct from the remaining operands for this operator or function; operator: IN, first operand: [n]!"},
		{"", `SELECT * FROM "t" WHERE n BETWEEN n AND 3`, "The first operand must be distinct from the remaining operands for this operator or function; operator: BETWEEN, first operand: [n]!"},
		{"", `SELECT * FROM "t" WHERE pk = 'p' ORDER BY m.x`, "Argument to ORDER BY must be of type VariableReference. Type: PATH at...!"},
		{"", `SELECT * FROM "t" WHERE pk = 'p';;`, malformed + "Unexpected token after semicolon. (Only one query is allowed.)!"},
	})
}
