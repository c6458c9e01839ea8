package harness

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// AV is a typed attribute value; Item a map of them.
type (
	AV   = types.AttributeValue
	Item = map[string]types.AttributeValue
)

// S, N, B, Bool, Null, L and M build attribute values.
func S(s string) AV  { return &types.AttributeValueMemberS{Value: s} }
func N(n string) AV  { return &types.AttributeValueMemberN{Value: n} }
func Int(n int) AV   { return N(strconv.Itoa(n)) }
func B(b []byte) AV  { return &types.AttributeValueMemberB{Value: b} }
func Bool(b bool) AV { return &types.AttributeValueMemberBOOL{Value: b} }
func L(v ...AV) AV   { return &types.AttributeValueMemberL{Value: v} }
func M(m Item) AV    { return &types.AttributeValueMemberM{Value: m} }

// IntOf returns the number in an N, or -1.
func IntOf(v AV) int {
	if n, ok := v.(*types.AttributeValueMemberN); ok {
		if i, err := strconv.Atoi(n.Value); err == nil {
			return i
		}
	}
	return -1
}

// StringOf returns the text of an S, or "".
func StringOf(v AV) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

// Table describes a table to make.
type Table struct {
	Hash   string // "pk" or "pk:N"; the type defaults to S
	Range  string
	View   types.StreamViewType // empty: no stream
	Shards int                  // more than 1 asks for them by tag
}

// Made is a table that exists.
type Made struct {
	Name      string
	ARN       string
	StreamARN string
	target    *Target
}

// Name returns a table or function name that is not used yet.
func Name(kind string) string {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	return "conf-" + kind + "-" + hex.EncodeToString(random[:])
}

// Create makes the table on the target, waits until it is ready, and deletes it at
// the end of the test.
func (t *Target) Create(tb testing.TB, spec Table) Made {
	tb.Helper()
	name := Name("t")
	in := &dynamodb.CreateTableInput{TableName: &name, BillingMode: types.BillingModePayPerRequest}
	key := func(text string, kind types.KeyType) {
		attr, kindOf, typed := strings.Cut(text, ":")
		if !typed {
			kindOf = "S"
		}
		in.KeySchema = append(in.KeySchema, types.KeySchemaElement{AttributeName: &attr, KeyType: kind})
		in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{AttributeName: &attr, AttributeType: types.ScalarAttributeType(kindOf)})
	}
	if spec.Hash == "" {
		spec.Hash = "pk"
	}
	key(spec.Hash, types.KeyTypeHash)
	if spec.Range != "" {
		key(spec.Range, types.KeyTypeRange)
	}
	if spec.View != "" {
		in.StreamSpecification = &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: spec.View}
	}
	if spec.Shards > 1 {
		in.Tags = []types.Tag{{Key: aws.String("millstream:shards"), Value: aws.String(strconv.Itoa(spec.Shards))}}
	}
	ctx := tb.Context()
	if _, err := t.DB.CreateTable(ctx, in); err != nil {
		tb.Fatalf("CreateTable: %v", err)
	}
	tb.Cleanup(func() { t.Drop(tb, name) })
	desc := t.AwaitActive(tb, name)
	made := Made{Name: name, ARN: aws.ToString(desc.TableArn), StreamARN: aws.ToString(desc.LatestStreamArn), target: t}
	if spec.View != "" && made.StreamARN == "" {
		tb.Fatal("the table was made with a stream and DescribeTable shows no LatestStreamArn")
	}
	return made
}

// AwaitActive waits until a table is ACTIVE.
func (t *Target) AwaitActive(tb testing.TB, name string) *types.TableDescription {
	tb.Helper()
	var desc *types.TableDescription
	Eventually(tb, 2*time.Minute, "table ACTIVE", func() bool {
		out, err := t.DB.DescribeTable(tb.Context(), &dynamodb.DescribeTableInput{TableName: &name})
		if err != nil {
			if ErrorCode(err) == "ResourceNotFoundException" {
				return false
			}
			tb.Fatalf("DescribeTable: %v", err)
		}
		desc = out.Table
		return desc.TableStatus == types.TableStatusActive
	})
	return desc
}

// Drop deletes a table; one that is gone is fine. It serves clean-ups, where the
// test's context has ended.
func (t *Target) Drop(tb testing.TB, name string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := t.DB.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name})
	if code := ErrorCode(err); err != nil && code != "ResourceNotFoundException" && code != "ResourceInUseException" {
		tb.Logf("DeleteTable %s: %v", name, err)
	}
}

// Put writes an item.
func (m Made) Put(tb testing.TB, item Item) {
	tb.Helper()
	if _, err := m.target.DB.PutItem(tb.Context(), &dynamodb.PutItemInput{TableName: &m.Name, Item: item}); err != nil {
		tb.Fatalf("PutItem: %v", err)
	}
}

// Delete deletes an item.
func (m Made) Delete(tb testing.TB, key Item) {
	tb.Helper()
	if _, err := m.target.DB.DeleteItem(tb.Context(), &dynamodb.DeleteItemInput{TableName: &m.Name, Key: key}); err != nil {
		tb.Fatalf("DeleteItem: %v", err)
	}
}

// Get reads an item consistently; nil when absent.
func (m Made) Get(tb testing.TB, key Item) Item {
	tb.Helper()
	out, err := m.target.DB.GetItem(tb.Context(), &dynamodb.GetItemInput{TableName: &m.Name, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		tb.Fatalf("GetItem: %v", err)
	}
	return out.Item
}

// ErrorCode returns the AWS code of an error, or "".
func ErrorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// WantError checks an SDK error's code and text; an empty text is not compared.
func WantError(tb testing.TB, err error, code, message string) {
	tb.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		tb.Errorf("error is %v; want %s", err, code)
		return
	}
	if api.ErrorCode() != code {
		tb.Errorf("error is %s: %s; want %s", api.ErrorCode(), api.ErrorMessage(), code)
	} else if message != "" && !sameText(api.ErrorMessage(), message) {
		tb.Errorf("text\n got  %q\n want %q", api.ErrorMessage(), message)
	}
}

// Eventually asks cond until it is true, for what a target may do with delay.
func Eventually(tb testing.TB, limit time.Duration, what string, cond func() bool) {
	tb.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			tb.Fatalf("not within %v: %s", limit, what)
		case <-poll.C:
		}
	}
}
