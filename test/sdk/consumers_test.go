package sdk

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// The Kinesis Client Library reads a stream through its DynamoDB Streams adapter, with
// its leases in a table of the same Millstream, while shards roll over and split. It
// is stopped in the middle, and a second worker takes the leases over.
func TestKinesisClientLibrary(t *testing.T) {
	jars := os.Getenv("SDKTEST_KCL")
	java, err := exec.LookPath("java")
	if err != nil || jars == "" {
		absent(t, "it takes java, and SDKTEST_KCL, a folder with the jars of dynamodb-streams-kinesis-adapter")
	}
	trust := trustStore(t)
	c := newChanges(t)
	worker := func(name string) *consumer {
		return consume(t, script(c.endpoint), java, append(trust, "-cp", filepath.Join(jars, "*"), "kcl/Consumer.java", c.endpoint, c.stream, "application", name)...)
	}
	first := worker("first")
	c.write(t, 200)
	first.awaitLines(t, 200)
	c.split(t)
	c.write(t, 200)
	first.awaitLines(t, 300) // in the children
	lines := first.stop(t)

	c.write(t, 100)
	second := worker("second")
	c.split(t)
	c.write(t, 100)
	second.awaitLines(t, c.written-len(lines))
	c.check(t, append(lines, second.stop(t)...))
	c.rolled(t)
}

// trustStore is what makes a program of Java trust the server.
func trustStore(t *testing.T) (flags []string) {
	t.Helper()
	if door.Cert == "" {
		return nil
	}
	file := filepath.Join(t.TempDir(), "trust")
	out, err := run(t, nil, "keytool", "-importcert", "-noprompt", "-trustcacerts", "-alias", "millstream", "-file", door.Cert, "-keystore", file, "-storepass", "changeit")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return []string{"-Djavax.net.ssl.trustStore=" + file, "-Djavax.net.ssl.trustStorePassword=changeit"}
}

// A stream reader of Node.js reads each shard to its end, and then its children.
func TestNodeReader(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		absent(t, "node is not installed")
	}
	env := []string{"NODE_PATH=" + os.Getenv("SDKTEST_NODE_PATH")}
	if out, err := run(t, env, node, "-e", "require.resolve('dynamodb-streams-readable'); require.resolve('@aws-sdk/client-dynamodb-streams')"); err != nil {
		absent(t, "npm install dynamodb-streams-readable @aws-sdk/client-dynamodb-streams and set SDKTEST_NODE_PATH to its node_modules: "+firstLine(out))
	}
	c := newChanges(t)
	reader := consume(t, slices.Concat(env, script(c.endpoint), []string{"STREAM_ARN=" + c.stream}), node, "javascript/reader.cjs")
	c.write(t, 200)
	reader.awaitLines(t, 100)
	c.split(t)
	c.write(t, 200)
	reader.awaitLines(t, c.written)
	c.check(t, reader.stop(t))
	c.rolled(t)
}

// changes are the changes of a table whose stream rolls over every second: each
// counts its item's n up by one.
type changes struct {
	endpoint, stream string
	db               *dynamodb.Client
	written          int
}

func newChanges(t *testing.T) *changes {
	t.Helper()
	c := &changes{endpoint: serve(t, nil, "--shard-roll", "1s")}
	c.db = dynamodb.NewFromConfig(config(), func(o *dynamodb.Options) { o.BaseEndpoint = &c.endpoint })
	made, err := c.db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: aws.String("changes"), BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		StreamSpecification:  &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.stream = *made.TableDescription.LatestStreamArn
	return c
}

const changedItems = 11

// write makes n changes, slowly enough to meet a roll-over.
func (c *changes) write(t *testing.T, n int) {
	t.Helper()
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for range n {
		<-pace.C
		_, err := c.db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("changes"), Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: fmt.Sprint(c.written % changedItems)}},
			UpdateExpression: aws.String("ADD n :one"), ExpressionAttributeValues: map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		c.written++
	}
}

// split splits every shard in two.
func (c *changes) split(t *testing.T) {
	t.Helper()
	ask(t, http.MethodPost, c.endpoint+"/_millstream/v1/shards/split?into=2&table=changes")
}

// check compares what consumers printed with the changes: every one once, those of an
// item in order.
func (c *changes) check(t *testing.T, lines []string) {
	t.Helper()
	next := map[string]int{}
	for _, line := range lines {
		var key, seq string
		var n int
		if _, err := fmt.Sscan(line, &key, &n, &seq); err != nil {
			t.Fatalf("a consumer printed %q", line)
		}
		if next[key]++; n != next[key] {
			t.Fatalf("item %s: change %d comes where %d was due", key, n, next[key])
		}
	}
	if len(lines) != c.written {
		t.Errorf("%d of %d changes were read", len(lines), c.written)
	}
}

// rolled checks that the stream had a lineage for the consumers to follow.
func (c *changes) rolled(t *testing.T) {
	t.Helper()
	out := fetch(t, c.endpoint+"/_millstream/v1/shards?table=changes")
	if n := strings.Count(out, `"shardId-`); n < 5 {
		t.Errorf("the shards are %s", out)
	}
}

// consumer is a process that prints a line for each record.
type consumer struct {
	stdin  io.Closer
	stderr bytes.Buffer
	ended  chan struct{} // closed when the process has ended and its lines are whole
	err    error         // as the process ended

	mu    sync.Mutex
	lines []string
	moved chan struct{} // closed and replaced with each line
}

func consume(t *testing.T, env []string, name string, args ...string) *consumer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	c := &consumer{ended: make(chan struct{}), moved: make(chan struct{})}
	cmd.Stderr = &c.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin = stdin
	go func() {
		defer close(c.ended)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			c.mu.Lock()
			c.lines = append(c.lines, s.Text())
			close(c.moved)
			c.moved = make(chan struct{})
			c.mu.Unlock()
		}
		c.err = cmd.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-c.ended
		if t.Failed() {
			t.Logf("%s printed errors:\n%s", filepath.Base(name), c.stderr.Bytes()[max(0, c.stderr.Len()-8<<10):])
		}
	})
	return c
}

// awaitLines waits until n lines have been printed.
func (c *consumer) awaitLines(t *testing.T, n int) {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	for {
		c.mu.Lock()
		got, moved := len(c.lines), c.moved
		c.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-moved:
		case <-c.ended:
			t.Fatalf("the consumer ended after %d of %d records: %v", got, n, cmp.Or(c.err, io.EOF))
		case <-deadline.C:
			t.Fatalf("the consumer read %d of %d records within two minutes", got, n)
		}
	}
}

// stop ends the consumer and returns all lines that it printed.
func (c *consumer) stop(t *testing.T) []string {
	t.Helper()
	if err := c.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	<-c.ended
	if c.err != nil {
		t.Fatalf("the consumer ended with %v", c.err)
	}
	return c.lines
}
