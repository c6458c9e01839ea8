package table

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millstreamdb/millstream/internal/store"
)

// TestStreamPolicies: the policy of a stream is its own, and survives a restart;
// those of what has gone do not.
func TestStreamPolicies(t *testing.T) {
	w := newWorld(t)
	w.must(t, "CreateTable", `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_IMAGE"}}`)
	arn := w.db.LatestStream(scope, "tab")
	const doc = `{\"Statement\":[{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"dynamodb:GetRecords\",\"Resource\":\"*\"}]}`
	w.must(t, "PutResourcePolicy", fmt.Sprintf(`{"ResourceArn":%q,"Policy":"%s"}`, arn, doc))
	if err := w.store.Write(func() *store.Batch {
		b := w.store.NewBatch()
		if _, err := putPolicy(b, 1<<40, nil, "{}", 1); err != nil {
			t.Fatal(err)
		}
		return b
	}()); err != nil {
		t.Fatal(err)
	}
	w.reopen(t)
	if p, err := w.db.readPolicy(1 << 40); p != nil || err != nil {
		t.Errorf("the policy of a stream that is gone is %+v, %v", p, err)
	}
	if _, err := w.call("GetResourcePolicy", fmt.Sprintf(`{"ResourceArn":%q}`, scope.TableARN("tab"))); err == nil || !strings.Contains(err.Error(), "PolicyNotFound") {
		t.Errorf("the table has the stream's policy: %v", err)
	}
	w.must(t, "DeleteTable", `{"TableName":"tab"}`)
	w.reopen(t)
	got, err := w.call("GetResourcePolicy", fmt.Sprintf(`{"ResourceArn":%q}`, arn))
	if err != nil || !strings.Contains(got.(*PolicyResult).Document, "GetRecords") {
		t.Errorf("the stream has the policy %+v, %v", got, err)
	}
}
