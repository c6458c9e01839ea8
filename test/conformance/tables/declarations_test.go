package tables

import (
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func TestDeclarationsOfKeys(t *testing.T) {
	target := harness.The(t)
	element := func(name, kind string) string { return `{"AttributeName":"` + name + `","KeyType":"` + kind + `"}` }
	schema := func(elements ...string) string {
		return `{"IndexName":"gsi","KeySchema":[` + strings.Join(elements, ",") + `],"Projection":{"ProjectionType":"ALL"}}`
	}
	const (
		tooMany  = invalid + "The KeySchema exceeds the maximum allowed number of "
		twice    = "The KeySchema contains multiple key attributes with the same name"
		same     = "Both the Hash Key and the Range Key element in the KeySchema have the same name"
		none     = "Invalid KeySchema: Some index key attribute have no definition"
		undefine = invalid + "Some index key attributes are not defined in AttributeDefinitions. "
		unused   = invalid + "Some AttributeDefinitions are not used. "
	)
	for _, r := range []struct{ key, defs, global, local, want string }{
		// [2.07 T PS euc1/R2 10 H]
		{"pk", "pk:S a:S b:S c:S d:S e:S", index("gsi", "a b c d e", "ALL"), "", tooMany + "HASH key attributes"},
		{"pk", "pk:S h:S a:S b:S c:S d:S e:S", index("gsi", "h/a b c d e", "ALL"), "", tooMany + "RANGE key attributes"},
		{"pk", "pk:S a:S b:S", schema(element("a", "HASH"), element("b", "RANGE"), element("pk", "HASH")), "", invalid + "All HASH key attributes must precede RANGE key attributes in the KeySchema"},
		// [2.08 C DX; T AL H] and [8.06 C DX; T AL H]: before definitions that nothing uses
		{"pk", "pk:S a:S", index("gsi", "a a", "ALL"), "", twice},
		{"pk", "pk:S a:S b:S", index("gsi", "a/b b", "ALL"), "", twice},
		{"pk", "pk:S a:S", index("gsi", "a/a", "ALL"), "", same},
		{"pk", "pk:S a:S b:S x:S", index("gsi", "a a", "ALL"), "", twice},
		{"pk", "pk:S a:S b:S x:S", index("gsi", "a/a", "ALL"), "", same},
		{"pk", "pk:S a:S", index("same", "a", "ALL") + "," + index("same", "a", "ALL"), "", invalid + "Duplicate index name: same"},
		// [2.09 T PS 10 M]
		{"pk", "pk:S a:S b:S c:S d:S e:S f:S g:S h:S i:S", index("gsi", "a b c d/e f g h i", "ALL"), "", "1 validation error detected: Value '[KeySchemaElement(attributeName=a, keyType=HASH), " +
			"KeySchemaElement(attributeName=b, keyType=HASH), KeySchemaElement(attributeName=c, keyType=HASH), KeySchemaElement(attributeName=d, keyType=HASH), " +
			"KeySchemaElement(attributeName=e, keyType=RANGE), KeySchemaElement(attributeName=f, keyType=RANGE), KeySchemaElement(attributeName=g, keyType=RANGE), " +
			"KeySchemaElement(attributeName=h, keyType=RANGE), KeySchemaElement(attributeName=i, keyType=RANGE)]' at 'keySchema' failed to satisfy constraint: Member must have length less than or equal to 8"},
		{"pk/sk", "pk:S sk:S a:S", "", index("lsi", "pk/a sk", "ALL"), "1 validation error detected: Value '[KeySchemaElement(attributeName=pk, keyType=HASH), " +
			"KeySchemaElement(attributeName=a, keyType=RANGE), KeySchemaElement(attributeName=sk, keyType=RANGE)]' at 'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2"},
		// [2.10 C DX euw2 10-09 H] the first index, in the order of a Java hash set
		{"PK", "h:S a:S PK:S", index("gsi", "h/zz a", "ALL"), "", undefine + "Keys: [h, zz, a], AttributeDefinitions: [h, a, PK]"},
		{"PK", "h:S a:S PK:S x:S", index("gsi", "h/zz a", "ALL") + "," + index("two", "q", "ALL"), "", undefine + "Keys: [h, zz, a], AttributeDefinitions: [h, x, a, PK]"},
		// [2.11 C DX euw2 10-09 M]
		{"PK", "h:S PK:S", index("gsi", "h/zz a", "ALL"), "", none},
		// [2.12 C DX euw2 10-09 H]
		{"PK", "PK:S h:S x:S y:S", index("gsi", "h", "ALL"), "", unused + "AttributeDefinitions: [h, x, y, PK], keys used: [h, PK]"},
		{"PK", "PK:S x:S", "", "", invalid + "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"},
		// [8.07 T PS R2 10 H]
		// [8.08 T PS R2 10-09 H]
		{"PK/a", "PK:S a:S", index("gs", "a", "ALL"), index("al", "PK/a", "ALL"), "2 validation errors detected: Value 'gs' at 'globalSecondaryIndexes.1.member.indexName' failed to satisfy constraint: " +
			"Member must have length greater than or equal to 3; Value 'al' at 'localSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member must have length greater than or equal to 3"},
		{"PK", "PK:S a:S", `{"IndexName":"inc",` + key("a") + `,"Projection":{"ProjectionType":"INCLUDE"}}`, "", invalid + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified"},
	} {
		body := `{"TableName":"conf-never-made","BillingMode":"PAY_PER_REQUEST",` + key(r.key) + "," + definitions(r.defs)
		if r.global != "" {
			body += `,"GlobalSecondaryIndexes":[` + r.global + `]`
		}
		if r.local != "" {
			body += `,"LocalSecondaryIndexes":[` + r.local + `]`
		}
		t.Run(r.global+r.local+r.defs, func(t *testing.T) {
			target.Raw(t, "CreateTable", body+"}").Want(t, validation, r.want)
		})
	}
	table := target.Create(t, harness.Table{}).Name
	for _, r := range []struct{ defs, index, want string }{
		{"a:S", index("gsi", "a/b", "ALL"), none},
		{"pk:S a:S b:S", index("gsi", "a/zz b", "ALL"), undefine + "Keys: [zz, a, b], AttributeDefinitions: [a, b, pk]"},
		{"a:S b:S", index("gsi", "a a", "ALL"), twice},
		{"a:S", index("gsi", "a/a", "ALL"), same},
	} {
		t.Run("UpdateTable "+r.index, func(t *testing.T) {
			target.Raw(t, "UpdateTable", addIndex(table, r.defs, r.index)).Want(t, validation, r.want)
		})
	}
}
