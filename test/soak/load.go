package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

const (
	mainTable = "soak"
	items     = 2000
	functions = 10
)

// load is what the server is made to do.
type load struct {
	s         *server
	bin, work string
	rate      int
	db        *dynamodb.Client
	lambda    *lambda.Client

	operations, poison, deploys, tables, backups atomic.Int64
}

func newLoad(s *server, bin, work string, rate int) *load {
	c := aws.Config{Region: "us-east-1", BaseEndpoint: &s.url, Credentials: credentials.NewStaticCredentialsProvider("soak", "soak", "")}
	return &load{s: s, bin: bin, work: work, rate: rate, db: dynamodb.NewFromConfig(c), lambda: lambda.NewFromConfig(c)}
}

func (l *load) summary() string {
	return fmt.Sprintf("%d operations on tables, %d records that make functions crash or hang, %d deployments, %d tables made and dropped, %d backups",
		l.operations.Load(), l.poison.Load(), l.deploys.Load(), l.tables.Load(), l.backups.Load())
}

// event is what a function reads of an event.
type event struct {
	Records []struct {
		Dynamodb struct {
			NewImage map[string]struct{ S string }
		} `json:"dynamodb"`
	}
}

// handle is the function in Go.
func handle(_ context.Context, e event) (string, error) {
	for _, r := range e.Records {
		switch r.Dynamodb.NewImage["what"].S {
		case "crash":
			os.Exit(3)
		case "hang":
			time.Sleep(time.Minute)
		case "fail":
			return "", errors.New("as it was told")
		}
	}
	fmt.Println(len(e.Records), "records")
	return "done", nil
}

const inNode = `export const handler = async (event) => {
  for (const r of event.Records) {
    const what = r.dynamodb.NewImage?.what?.S;
    if (what === "crash") process.exit(3);
    if (what === "hang") await new Promise((done) => setTimeout(done, 60000));
    if (what === "fail") throw new Error("as it was told");
  }
  console.log(event.Records.length, "records");
  return "done";
};
`

const inPython = `import os, time
def handler(event, context):
    for r in event["Records"]:
        what = r["dynamodb"].get("NewImage", {}).get("what", {}).get("S")
        if what == "crash":
            os._exit(3)
        if what == "hang":
            time.sleep(60)
        if what == "fail":
            raise Exception("as it was told")
    print(len(event["Records"]), "records")
    return "done"
`

// code is a function's package; version makes it another one.
func code(n, version int) (runtime lambdatypes.Runtime, handler string, content []byte, err error) {
	name, text, mode := "", "", os.FileMode(0o644)
	switch n % 3 {
	case 0:
		runtime, handler, name, text = "nodejs22.x", "index.handler", "index.mjs", inNode
	case 1:
		runtime, handler, name, text = "python3.12", "app.handler", "app.py", inPython
	default:
		runtime, handler, name, mode = "provided.al2023", "bootstrap", "bootstrap", 0o755
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	add := func(name string, mode os.FileMode, from io.Reader) error {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		h.SetMode(mode)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = io.Copy(w, from)
		}
		return err
	}
	var from io.Reader = strings.NewReader(text)
	if text == "" {
		path, err := os.Executable()
		if err != nil {
			return "", "", nil, err
		}
		f, err := os.Open(path)
		if err != nil {
			return "", "", nil, err
		}
		defer f.Close()
		from = f
	}
	err = errors.Join(add(name, mode, from), add("version", 0o644, strings.NewReader(fmt.Sprint(n, " ", version))), z.Close())
	return runtime, handler, b.Bytes(), err
}

func functionName(n int) string { return fmt.Sprint("soak-", n) }

// prepare makes what stays: a table with a stream and an index, and ten functions on it.
func (l *load) prepare(ctx context.Context) error {
	made, err := l.db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String(mainTable), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: "S"}, {AttributeName: aws.String("group"), AttributeType: "S"}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: "HASH"}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{IndexName: aws.String("by-group"), KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("group"), KeyType: "HASH"}},
			Projection: &types.Projection{ProjectionType: "KEYS_ONLY"}}},
		StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: "NEW_IMAGE"},
	})
	if err != nil {
		return err
	}
	for n := range functions {
		runtime, handler, content, err := code(n, 0)
		if err != nil {
			return err
		}
		if _, err := l.lambda.CreateFunction(ctx, &lambda.CreateFunctionInput{
			FunctionName: aws.String(functionName(n)), Runtime: runtime, Handler: &handler, Role: aws.String("arn:aws:iam::000000000000:role/r"),
			Timeout: aws.Int32(3), Code: &lambdatypes.FunctionCode{ZipFile: content},
		}); err != nil {
			return err
		}
		if _, err := l.lambda.CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
			FunctionName: aws.String(functionName(n)), EventSourceArn: made.TableDescription.LatestStreamArn, StartingPosition: "TRIM_HORIZON",
			BatchSize: aws.Int32(100), MaximumRetryAttempts: aws.Int32(1), BisectBatchOnFunctionError: aws.Bool(true), ParallelizationFactor: aws.Int32(int32(1 + n%2)),
			MaximumBatchingWindowInSeconds: aws.Int32(1),
		}); err != nil {
			return err
		}
	}
	return nil
}

// run does everything until ctx ends.
func (l *load) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	every := func(what string, pause time.Duration, do func(context.Context, int) error) {
		all.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for n := 1; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if err := do(ctx, n); err != nil && ctx.Err() == nil {
					cancel(fmt.Errorf("%s: %w", what, err))
					return
				}
			}
		})
	}
	for range 4 {
		every("an operation", 4*time.Second/time.Duration(l.rate), l.operate)
	}
	every("a record that makes functions crash or hang", 10*time.Second, l.putPoison)
	every("a deployment", 20*time.Second, l.deploy)
	every("a table made and dropped", time.Minute, l.makeAndDrop)
	every("a backup", 2*time.Minute, l.backUp)
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func (l *load) operate(ctx context.Context, _ int) (err error) {
	l.operations.Add(1)
	id := fmt.Sprint("item-", rand.IntN(items))
	key := map[string]types.AttributeValue{"id": text(id)}
	item := map[string]types.AttributeValue{"id": text(id), "group": text(fmt.Sprint("group-", rand.IntN(50))), "text": text(strings.Repeat("x", rand.IntN(400)))}
	name := aws.String(mainTable)
	switch rand.IntN(10) {
	case 0, 1:
		_, err = l.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: item})
	case 2:
		_, err = l.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{TableName: name, Key: key, UpdateExpression: aws.String("ADD n :one"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}}})
	case 3:
		_, err = l.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: name, Key: key})
	case 4:
		_, err = l.db.Query(ctx, &dynamodb.QueryInput{TableName: name, IndexName: aws.String("by-group"), KeyConditionExpression: aws.String("#g = :g"), Limit: aws.Int32(20),
			ExpressionAttributeNames: map[string]string{"#g": "group"}, ExpressionAttributeValues: map[string]types.AttributeValue{":g": item["group"]}})
	case 5:
		_, err = l.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
			{Put: &types.Put{TableName: name, Item: item}}, {Delete: &types.Delete{TableName: name, Key: map[string]types.AttributeValue{"id": text(id + "-second")}}}}})
	case 6:
		_, err = l.db.Scan(ctx, &dynamodb.ScanInput{TableName: name, Limit: aws.Int32(100)})
	case 7:
		_, err = l.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{mainTable: {Keys: []map[string]types.AttributeValue{key}}}})
	default:
		_, err = l.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: name, Key: key, ConsistentRead: aws.Bool(true)})
	}
	return err
}

func (l *load) putPoison(ctx context.Context, n int) error {
	l.poison.Add(1)
	_, err := l.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(mainTable), Item: map[string]types.AttributeValue{
		"id": text("poison"), "group": text("poison"), "what": text([]string{"crash", "fail", "hang"}[n%3])}})
	return err
}

func (l *load) deploy(ctx context.Context, n int) error {
	l.deploys.Add(1)
	_, _, content, err := code(n%functions, n)
	if err != nil {
		return err
	}
	_, err = l.lambda.UpdateFunctionCode(ctx, &lambda.UpdateFunctionCodeInput{FunctionName: aws.String(functionName(n % functions)), ZipFile: content})
	return err
}

func (l *load) makeAndDrop(ctx context.Context, n int) error {
	l.tables.Add(1)
	name := aws.String(fmt.Sprint("soak-passing-", n))
	if _, err := l.db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: "S"}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: "HASH"}},
	}); err != nil {
		return err
	}
	for i := range 100 {
		if _, err := l.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: map[string]types.AttributeValue{"id": text(fmt.Sprint(i)), "text": text(strings.Repeat("y", 2000))}}); err != nil {
			return err
		}
	}
	_, err := l.db.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: name})
	return err
}

// backUp makes a backup, the second into the place of the first; then the place is begun anew.
func (l *load) backUp(ctx context.Context, n int) error {
	l.backups.Add(1)
	place := filepath.Join(l.work, "backups")
	var progress bytes.Buffer // and errors
	c := exec.CommandContext(ctx, l.bin, "backup", "--to", place, "--endpoint", l.s.url, "--json")
	c.Stderr = &progress
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, progress.Bytes())
	}
	if !json.Valid(out) {
		return fmt.Errorf("an odd answer: %s", out)
	}
	if n%2 == 0 {
		return os.RemoveAll(place)
	}
	return nil
}
