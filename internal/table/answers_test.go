package table

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestAnswersWaitForTheSync holds P1 and P3 with the disk's hand held: while the log
// cannot be synced, a write has been applied; neither it nor any answer that
// depends on it comes before the sync. Only eventual reads do not wait.
func TestAnswersWaitForTheSync(t *testing.T) {
	const (
		put    = `{"TableName":"tab","Item":{"pk":{"S":"a"},"w":{"S":"2"}}}`
		delete = `{"TableName":"tab","Key":{"pk":{"S":"a"}}}`
		expire = `{"TableName":"tab","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"t"}}`
		both   = `{"ClientRequestToken":"t","TransactItems":[{"Put":{"TableName":"tab","Item":{"pk":{"S":"a"},"w":{"S":"2"}}}},{"Put":{"TableName":"tab","Item":{"pk":{"S":"b"}}}}]}`
		create = `{"TableName":"new","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}]}`
		on     = `{"TableName":"tab","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}}`
	)
	for _, c := range []struct {
		name, first, body string
		then, thenBody    string
		atOnce            bool
	}{
		{"consistent get", "PutItem", put, "GetItem", `{"TableName":"tab","Key":{"pk":{"S":"a"}},"ConsistentRead":true}`, false},
		{"eventual get", "PutItem", put, "GetItem", `{"TableName":"tab","Key":{"pk":{"S":"a"}}}`, true},
		{"get of another item", "PutItem", put, "GetItem", `{"TableName":"tab","Key":{"pk":{"S":"b"}},"ConsistentRead":true}`, true},
		{"consistent absence", "DeleteItem", delete, "GetItem", `{"TableName":"tab","Key":{"pk":{"S":"a"}},"ConsistentRead":true}`, false},
		{"batch get", "PutItem", put, "BatchGetItem", `{"RequestItems":{"tab":{"Keys":[{"pk":{"S":"b"}},{"pk":{"S":"a"}}],"ConsistentRead":true}}}`, false},
		{"no-op put", "PutItem", put, "PutItem", put, false},
		{"no-op delete", "DeleteItem", delete, "DeleteItem", delete, false},
		{"no-op batch", "PutItem", put, "BatchWriteItem", `{"RequestItems":{"tab":[{"PutRequest":{"Item":{"pk":{"S":"a"},"w":{"S":"2"}}}}]}}`, false},
		{"transactional get", "PutItem", put, "TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"tab","Key":{"pk":{"S":"a"}}}},{"Get":{"TableName":"tab","Key":{"pk":{"S":"b"}}}}]}`, false},
		{"transactional get of others", "PutItem", put, "TransactGetItems", `{"TransactItems":[{"Get":{"TableName":"tab","Key":{"pk":{"S":"b"}}}}]}`, true},
		{"no-op transaction", "PutItem", put, "TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"tab","Item":{"pk":{"S":"a"},"w":{"S":"2"}}}}]}`, false},
		{"condition check", "PutItem", put, "TransactWriteItems", `{"TransactItems":[{"ConditionCheck":{"TableName":"tab","Key":{"pk":{"S":"a"}},"ConditionExpression":"attribute_exists(pk)"}}]}`, false},
		{"cancelled transaction", "PutItem", put, "TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"tab","Item":{"pk":{"S":"c"}}}},{"ConditionCheck":{"TableName":"tab","Key":{"pk":{"S":"a"}},"ConditionExpression":"attribute_not_exists(pk)"}}]}`, false},
		{"get after a transaction", "TransactWriteItems", both, "GetItem", `{"TableName":"tab","Key":{"pk":{"S":"b"}},"ConsistentRead":true}`, false},
		{"the same token meanwhile", "TransactWriteItems", both, "TransactWriteItems", both, true}, // is told that the first is running
		{"no-op update", "PutItem", put, "UpdateItem", `{"TableName":"tab","Key":{"pk":{"S":"a"}},"UpdateExpression":"REMOVE nothing"}`, false},
		{"failed condition", "PutItem", put, "DeleteItem", `{"TableName":"tab","Key":{"pk":{"S":"a"}},"ConditionExpression":"w = :w","ExpressionAttributeValues":{":w":{"S":"1"}}}`, false},
		{"failed update", "PutItem", put, "UpdateItem", `{"TableName":"tab","Key":{"pk":{"S":"a"}},"UpdateExpression":"SET w.x = pk"}`, false},
		{"consistent query", "PutItem", put, "Query", `{"TableName":"tab","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"a"}},"ConsistentRead":true}`, false},
		{"consistent scan", "DeleteItem", delete, "Scan", `{"TableName":"tab","ConsistentRead":true}`, false},
		{"eventual scan", "DeleteItem", delete, "Scan", `{"TableName":"tab"}`, true},
		{"counts", "PutItem", put, "DescribeTable", `{"TableName":"tab"}`, false},
		{"names", "CreateTable", create, "ListTables", `{}`, false},
		{"a new table described", "CreateTable", create, "DescribeTable", `{"TableName":"new"}`, false},
		{"a new table read", "CreateTable", create, "GetItem", `{"TableName":"new","Key":{"pk":{"S":"a"}},"ConsistentRead":true}`, false},
		{"a bad key for a new table", "CreateTable", create, "GetItem", `{"TableName":"new","Key":{"q":{"S":"a"}}}`, false},
		{"a new table again", "CreateTable", create, "CreateTable", create, false},
		{"a table deleted, read", "DeleteTable", `{"TableName":"tab"}`, "GetItem", `{"TableName":"tab","Key":{"pk":{"S":"a"}}}`, false},
		{"a table deleted, written", "DeleteTable", `{"TableName":"tab"}`, "PutItem", put, false},
		{"a table deleted, described", "DeleteTable", `{"TableName":"tab"}`, "DescribeTable", `{"TableName":"tab"}`, false},
		{"a table deleted twice", "DeleteTable", `{"TableName":"tab"}`, "DeleteTable", `{"TableName":"tab"}`, false},
		{"a stream on twice", "UpdateTable", on, "UpdateTable", on, false},
		{"time to live described", "UpdateTimeToLive", expire, "DescribeTimeToLive", `{"TableName":"tab"}`, false},
		{"time to live twice", "UpdateTimeToLive", expire, "UpdateTimeToLive", expire, false},
		{"protection", "UpdateTable", `{"TableName":"tab","DeletionProtectionEnabled":true}`, "DeleteTable", `{"TableName":"tab"}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.createTable(t, "tab", 1, "")
				w.must(t, "PutItem", `{"TableName":"tab","Item":{"pk":{"S":"a"},"w":{"S":"1"}}}`)
				release := make(chan struct{})
				w.disk.Fail(func(op, file string) error {
					if op == "sync" && strings.HasSuffix(file, ".log") {
						<-release
					}
					return nil
				})
				var first, then atomic.Bool
				go func() {
					_, _ = w.call(c.first, c.body)
					first.Store(true)
				}()
				synctest.Wait() // it has been applied and waits
				go func() {
					_, _ = w.call(c.then, c.thenBody)
					then.Store(true)
				}()
				synctest.Wait()
				if first.Load() {
					t.Errorf("%s was answered before the sync", c.first)
				}
				if then.Load() != c.atOnce {
					t.Errorf("%s answered before the sync: %v, want %v", c.then, then.Load(), c.atOnce)
				}
				close(release)
				synctest.Wait()
				if !first.Load() || !then.Load() {
					t.Error("an answer is missing after the sync")
				}
			})
		})
	}
}
