package app

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/internal/backend/local"
)

// What a server keeps for a trigger of nodes is the table as it was, also after a restart, until it is given up, or the nodes have no such trigger.
func TestItemsForNodes(t *testing.T) {
	dir := t.TempDir()
	k := openKeeping(t, dir)
	defer func() { k.close() }()
	ctx := t.Context()
	table := func(name string, stream bool, keys ...string) string {
		in := &dynamodb.CreateTableInput{TableName: &name, BillingMode: ddb.BillingModePayPerRequest}
		for i, key := range keys {
			in.AttributeDefinitions = append(in.AttributeDefinitions, ddb.AttributeDefinition{AttributeName: aws.String(key), AttributeType: ddb.ScalarAttributeTypeS})
			in.KeySchema = append(in.KeySchema, ddb.KeySchemaElement{AttributeName: aws.String(key), KeyType: []ddb.KeyType{ddb.KeyTypeHash, ddb.KeyTypeRange}[i]})
		}
		if stream {
			in.StreamSpecification = &ddb.StreamSpecification{StreamEnabled: &stream, StreamViewType: ddb.StreamViewTypeNewImage}
		}
		made, err := k.db.CreateTable(ctx, in)
		k.must(err)
		return aws.ToString(made.TableDescription.LatestStreamArn)
	}
	put := func(table string, item map[string]string) {
		in := map[string]ddb.AttributeValue{}
		for name, text := range item {
			in[name] = &ddb.AttributeValueMemberS{Value: text}
		}
		_, err := k.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: in})
		k.must(err)
	}
	stream := table("tab", true, "pk")
	table("my.control", false, "p", "s")
	for i := range 30 {
		put("tab", map[string]string{"pk": fmt.Sprint(i), "is": "old"})
	}
	uuid := func(n int) string { return fmt.Sprintf("0000000%d-1111-4222-8333-444444444444", n) }
	holder := func(n int) local.Holder {
		return local.Holder{UUID: uuid(n), Scope: k.s.Scope(), Table: "my.control"}
	}
	for n := range 3 {
		of, at, err := k.s.backend.Lend(holder(n), stream)
		k.must(err)
		if of.Items != 30 || len(at) != 1 {
			t.Fatalf("%+v, %v", of, at)
		}
	}
	if _, _, err := k.s.backend.Lend(holder(1), stream); err != local.ErrIsLent {
		t.Errorf("once more: %v", err)
	}
	put("tab", map[string]string{"pk": "3", "is": "new"})
	put("tab", map[string]string{"pk": "new", "is": "new"})
	put("my.control", map[string]string{"p": "def", "s": "m#" + uuid(1)})

	read := func(n int) (seen int, err error) {
		for end := false; !end; {
			var records [][]byte
			if records, end, err = k.s.backend.ReadLent(uuid(n), stream, uint64(seen), 7, 1<<20); err != nil {
				return seen, err
			}
			for _, text := range records {
				var r struct {
					EventName string
					DynamoDB  struct {
						NewImage struct{ Is struct{ S string } }
					}
				}
				if k.must(json.Unmarshal(text, &r)); r.EventName != "INSERT" || r.DynamoDB.NewImage.Is.S != "old" {
					t.Errorf("%s", text)
				}
			}
			seen += len(records)
		}
		return seen, nil
	}
	wants := func(n, want int) {
		t.Helper()
		if seen, err := read(n); seen != want || (err == nil) != (want > 0) {
			t.Errorf("%d: %d items, %v, want %d", n, seen, err, want)
		}
	}
	wants(0, 30)
	k.must(k.s.backend.EndLent(uuid(2)))
	wants(2, 0)
	k.close()
	k = openKeeping(t, dir)
	k.must(k.s.backend.SweepLent(ctx, lentFor)) // 0 may be being made
	wants(0, 30)
	wants(1, 30)
	k.must(k.s.backend.SweepLent(context.Background(), 0))
	wants(0, 0)
	wants(1, 30)
	_, err := k.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String("my.control"), Key: map[string]ddb.AttributeValue{"p": &ddb.AttributeValueMemberS{Value: "def"}, "s": &ddb.AttributeValueMemberS{Value: "m#" + uuid(1)}}})
	k.must(err)
	k.must(k.s.backend.SweepLent(ctx, 0))
	wants(1, 0)
	left, err := os.ReadDir(filepath.Join(dir, "frozen"))
	if k.must(err); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
