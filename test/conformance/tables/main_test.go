// Package tables asks a target for the DynamoDB API: operations, conditions,
// errors and their order, paging, numbers, limits.
package tables

import (
	"strings"
	"sync"
	"testing"

	"github.com/millstreamdb/millstream/test/conformance/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

// row is one request and the error it must get; an empty want means success.
type row struct {
	name, op, body string
	want, message  string
}

// check sends the rows. $H in a body stands for a table with the key pk:S, $R for
// one with pk:S and sk:N, $N for one with pk:N, $B for one with pk:B, sk:S, $X for
// a table that does not exist.
func check(t *testing.T, rows []row) {
	t.Helper()
	target := harness.The(t)
	names := shared(t, target)
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.op+r.name] {
			t.Errorf("two rows are called %s %q", r.op, r.name)
		}
		seen[r.op+r.name] = true
		t.Run(r.op+"/"+r.name, func(t *testing.T) {
			target.Raw(t, r.op, names.Replace(r.body)).Want(t, r.want, names.Replace(r.message))
		})
	}
}

var (
	sharedMu    sync.Mutex
	sharedNames *strings.Replacer
)

// shared makes the tables that the rows name, once. They live until the target
// stops, or until someone deletes tables called conf-*.
func shared(t *testing.T, target *harness.Target) *strings.Replacer {
	t.Helper()
	sharedMu.Lock()
	defer sharedMu.Unlock()
	if sharedNames == nil {
		make := func(hash, sort string) string {
			name := harness.Name("shared")
			body := `{"TableName":"` + name + `","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}`
			defs := `{"AttributeName":"pk","AttributeType":"` + hash + `"}`
			if sort != "" {
				body += `,{"AttributeName":"sk","KeyType":"RANGE"}`
				defs += `,{"AttributeName":"sk","AttributeType":"` + sort + `"}`
			}
			target.Raw(t, "CreateTable", body+`],"AttributeDefinitions":[`+defs+`]}`).Want(t, "", "")
			target.AwaitActive(t, name)
			return name
		}
		sharedNames = strings.NewReplacer(
			"$H", make("S", ""), "$R", make("S", "N"), "$N", make("N", ""), "$B", make("B", "S"),
			"$X", harness.Name("absent"), "$LONG2049", strings.Repeat("k", 2049), "$LONG4097", strings.Repeat("a", 4097),
		)
	}
	return sharedNames
}

const (
	validation    = "ValidationException"
	serialization = "SerializationException"
	notFound      = "ResourceNotFoundException"
	failed        = "ConditionalCheckFailedException"
	invalid       = "One or more parameter values were invalid: "
)
