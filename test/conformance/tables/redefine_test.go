package tables

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

// made makes a table on demand of which rest is the rest of the request, and deletes it
// at the end of the test.
func made(t *testing.T, target *harness.Target, rest string) string {
	t.Helper()
	name := harness.Name("t")
	reply := target.Raw(t, "CreateTable", `{"TableName":"`+name+`","BillingMode":"PAY_PER_REQUEST",`+rest+`}`)
	if reply.Status != http.StatusOK {
		t.Fatalf("CreateTable: %s: %s", reply.Type, reply.Message)
	}
	t.Cleanup(func() { target.Drop(t, name) })
	target.AwaitActive(t, name)
	return name
}

// key and definitions are KeySchema and AttributeDefinitions: "a b/c" is a key with
// two partition key attributes and one of the sort key, "a:S b:N" two definitions.
func key(text string) string {
	hash, rng, _ := strings.Cut(text, "/")
	var list []string
	for _, name := range strings.Fields(hash) {
		list = append(list, `{"AttributeName":"`+name+`","KeyType":"HASH"}`)
	}
	for _, name := range strings.Fields(rng) {
		list = append(list, `{"AttributeName":"`+name+`","KeyType":"RANGE"}`)
	}
	return `"KeySchema":[` + strings.Join(list, ",") + `]`
}

func definitions(text string) string {
	var list []string
	for _, def := range strings.Fields(text) {
		name, kind, _ := strings.Cut(def, ":")
		list = append(list, `{"AttributeName":"`+name+`","AttributeType":"`+kind+`"}`)
	}
	return `"AttributeDefinitions":[` + strings.Join(list, ",") + `]`
}

// index is one index; projected is ALL, KEYS_ONLY, or the attributes of INCLUDE.
func index(name, keys, projected string) string {
	projection := `{"ProjectionType":"` + projected + `"}`
	if projected != "ALL" && projected != "KEYS_ONLY" {
		projection = `{"ProjectionType":"INCLUDE","NonKeyAttributes":["` + strings.Join(strings.Fields(projected), `","`) + `"]}`
	}
	return `{"IndexName":"` + name + `",` + key(keys) + `,"Projection":` + projection + `}`
}

func addIndex(table, defs, index string) string {
	return `{"TableName":"` + table + `",` + definitions(defs) + `,"GlobalSecondaryIndexUpdates":[{"Create":` + index + `}]}`
}

func shownDefinitions(t *testing.T, list []types.AttributeDefinition) string {
	t.Helper()
	var shown []string
	for _, d := range list {
		shown = append(shown, *d.AttributeName+":"+string(d.AttributeType))
	}
	slices.Sort(shown)
	return strings.Join(shown, " ")
}

func TestAnAttributeInUseKeepsItsType(t *testing.T) {
	target := harness.The(t)
	name := made(t, target, key("pk/sk")+","+definitions("pk:S sk:N xyz:S lk:S")+
		`,"GlobalSecondaryIndexes":[`+index("gsi", "xyz", "ALL")+`],"LocalSecondaryIndexes":[`+index("lsi", "pk/lk", "ALL")+`]`)
	refused := func(defs, idx, existing, new string) {
		t.Helper()
		target.Raw(t, "UpdateTable", addIndex(name, defs, idx)).Want(t, validation, invalid+"Attributes cannot be redefined. "+
			"Please check that your attribute has the same type as previously defined. Existing schema: Schema:["+existing+"] New schema: Schema:["+new+"]")
	}
	// [8.04 T AL H] the key of another index; of the table's own and of a local index
	// the service is believed to do the same.
	refused("xyz:N", index("new", "xyz", "ALL"), "SchemaElement: key{xyz:S:HASH}", "SchemaElement: key{xyz:N:HASH}")
	refused("sk:S", index("new", "sk", "ALL"), "SchemaElement: key{pk:S:HASH}, SchemaElement: key{sk:N:RANGE}", "SchemaElement: key{sk:S:HASH}")
	refused("a:S lk:B", index("new", "a/lk", "ALL"), "SchemaElement: key{pk:S:HASH}, SchemaElement: key{lk:S:RANGE}",
		"SchemaElement: key{a:S:HASH}, SchemaElement: key{lk:B:RANGE}")

	// [8.02, 8.03 T PS 78 euw2 07 H] what the new index does not use changes nothing: a
	// type that is in use stays, and what nothing uses is dropped.
	var updated struct{ TableDescription json.RawMessage }
	target.Raw(t, "UpdateTable", addIndex(name, "new:S xyz:N pk:N idle:B", index("new", "new", "ALL"))).JSON(t, &updated)
	if n := strings.Count(string(updated.TableDescription), `"AttributeName":"xyz","AttributeType"`); n != 1 {
		t.Errorf("the answer defines xyz %d times: %s", n, updated.TableDescription)
	}
	desc := awaitIndexes(t, target, name)
	if got := shownDefinitions(t, desc.AttributeDefinitions); got != "lk:S new:S pk:S sk:N xyz:S" {
		t.Errorf("definitions are %s", got)
	}
	// [8.01 T PS/AL H] the keys of a new index are in the request, even those that the
	// table knows.
	target.Raw(t, "UpdateTable", addIndex(name, "other:S", index("third", "xyz/other", "ALL"))).Want(t, validation, "")
	// The table is what it was: an item with all keys can be written.
	target.Raw(t, "PutItem", `{"TableName":"`+name+`","Item":{"pk":{"S":"a"},"sk":{"N":"1"},"xyz":{"S":"x"},"lk":{"S":"l"},"new":{"S":"n"}}}`).Want(t, "", "")

	// [8.05 T PS/AL H] an index takes its definitions with it, unless something else uses
	// them.
	target.Raw(t, "UpdateTable", `{"TableName":"`+name+`","GlobalSecondaryIndexUpdates":[{"Delete":{"IndexName":"gsi"}}]}`).Want(t, "", "")
	desc = awaitIndexes(t, target, name)
	if got := shownDefinitions(t, desc.AttributeDefinitions); got != "lk:S new:S pk:S sk:N" {
		t.Errorf("after the index was deleted definitions are %s", got)
	}
	// Nothing uses xyz now, so it can have another type.
	target.Raw(t, "UpdateTable", addIndex(name, "xyz:N lk:S", index("gsi", "xyz/lk", "ALL"))).Want(t, "", "")
	if got := shownDefinitions(t, awaitIndexes(t, target, name).AttributeDefinitions); got != "lk:S new:S pk:S sk:N xyz:N" {
		t.Errorf("after the index was made again definitions are %s", got)
	}
}

// awaitIndexes waits until a table and its indexes are ACTIVE.
func awaitIndexes(t *testing.T, target *harness.Target, name string) *types.TableDescription {
	t.Helper()
	var desc *types.TableDescription
	harness.Eventually(t, 10*time.Minute, "indexes ACTIVE", func() bool {
		desc = target.AwaitActive(t, name)
		return !slices.ContainsFunc(desc.GlobalSecondaryIndexes, func(x types.GlobalSecondaryIndexDescription) bool {
			return x.IndexStatus != types.IndexStatusActive
		})
	})
	return desc
}

// replaced puts a table's name in the place of $T.
func replaced(body, table string) string { return strings.ReplaceAll(body, "$T", table) }
