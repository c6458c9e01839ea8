package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	fn "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/spf13/cobra"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/admin"
)

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "See it work: writes, and the function calls they cause",
		Long: `Start a server in a temporary folder and use it over the network with the AWS SDK:
a table with a stream, a function whose zip holds this very program as its
bootstrap, and an event source mapping between the two. Then write items and show
each write with the function call that it causes. Ends by itself and leaves nothing.`,
		Example: `  millstream demo`,
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Minute)
			defer cancel()
			return runDemo(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

const (
	demoTable    = "orders"
	demoFunction = "on-order"
	// demoWait is how long a function call may take before the demo gives up.
	demoWait = 20 * time.Second
)

// runDemo starts the server, runs the demo against it and cleans up.
func runDemo(ctx context.Context, out, logs io.Writer) (err error) {
	fmt.Fprint(out, "Millstream: write an item, answer the caller at once, let the stream do the rest.\n\n")
	dir, err := os.MkdirTemp("", "millstream-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	started := time.Now()
	ln, err := listen("--listen", "127.0.0.1:0", false)
	if err != nil {
		return err
	}
	srv, err := millstream.Open(millstream.Options{
		Dir:     filepath.Join(dir, "data"),
		Version: programVersion(),
		Logger:  slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(serving, ln) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served, srv.Close())
		if err == nil {
			fmt.Fprint(out, "\nThe server has stopped and the folder is gone. To have your own:\n\n  millstream serve\n")
		}
	}()

	d, err := newDemoRun(out, "http://"+ln.Addr().String())
	if err != nil {
		return err
	}
	if _, err := d.admin.Version(ctx); err != nil {
		return err
	}
	d.step("A server in %s", dir)
	d.note("%s, every write synced to disk, ready after %s", d.endpoint, ms(time.Since(started)))
	return d.run(ctx)
}

// demoRun is a demo against a running server, as any program would use it.
type demoRun struct {
	out      io.Writer
	endpoint string
	tables   *dynamodb.Client
	lambda   *lambda.Client
	admin    *admin.Client

	calls chan seen // what the function printed
	steps int
	took  []time.Duration // from each write to its call, the cold start left out
}

func newDemoRun(out io.Writer, endpoint string) (*demoRun, error) {
	client, err := admin.New(admin.Options{Endpoint: endpoint})
	if err != nil {
		return nil, err
	}
	config := aws.Config{
		Region:      "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("demo", "demo", ""),
	}
	return &demoRun{
		out:      out,
		endpoint: endpoint,
		tables:   dynamodb.NewFromConfig(config, func(o *dynamodb.Options) { o.BaseEndpoint = &endpoint }),
		lambda:   lambda.NewFromConfig(config, func(o *lambda.Options) { o.BaseEndpoint = &endpoint }),
		admin:    client,
		calls:    make(chan seen, 1024),
	}, nil
}

func (d *demoRun) run(ctx context.Context) error {
	stream, err := d.createTable(ctx)
	if err != nil {
		return fmt.Errorf("create the table: %w", err)
	}
	if err := d.createFunction(ctx); err != nil {
		return fmt.Errorf("create the function: %w", err)
	}
	stop, err := d.follow(ctx)
	if err != nil {
		return fmt.Errorf("follow the function's output: %w", err)
	}
	defer stop()
	if err := d.createMapping(ctx, stream); err != nil {
		return fmt.Errorf("create the event source mapping: %w", err)
	}
	if err := d.write(ctx); err != nil {
		return err
	}
	return d.burst(ctx)
}

func (d *demoRun) createTable(ctx context.Context) (stream string, err error) {
	table, err := d.tables.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:            aws.String(demoTable),
		AttributeDefinitions: []ddb.AttributeDefinition{{AttributeName: aws.String("order"), AttributeType: ddb.ScalarAttributeTypeS}},
		KeySchema:            []ddb.KeySchemaElement{{AttributeName: aws.String("order"), KeyType: ddb.KeyTypeHash}},
		BillingMode:          ddb.BillingModePayPerRequest,
		StreamSpecification:  &ddb.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: ddb.StreamViewTypeNewAndOldImages},
	})
	if err != nil {
		return "", err
	}
	wait := dynamodb.NewTableExistsWaiter(d.tables, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = 10 * time.Millisecond })
	if err := wait.Wait(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(demoTable)}, time.Minute); err != nil {
		return "", err
	}
	d.step("CreateTable: %s, with a stream of old and new images", demoTable)
	d.note("%s", aws.ToString(table.TableDescription.LatestStreamArn))
	return aws.ToString(table.TableDescription.LatestStreamArn), nil
}

func (d *demoRun) createFunction(ctx context.Context) error {
	code, err := zipSelf()
	if err != nil {
		return err
	}
	arch := fn.ArchitectureX8664
	if runtime.GOARCH == "arm64" {
		arch = fn.ArchitectureArm64
	}
	f, err := d.lambda.CreateFunction(ctx, &lambda.CreateFunctionInput{
		FunctionName:  aws.String(demoFunction),
		Runtime:       fn.RuntimeProvidedal2023,
		Handler:       aws.String("bootstrap"),
		Architectures: []fn.Architecture{arch},
		Role:          aws.String("arn:aws:iam::000000000000:role/demo"),
		Timeout:       aws.Int32(10),
		Code:          &fn.FunctionCode{ZipFile: code},
	})
	if err != nil {
		return err
	}
	wait := lambda.NewFunctionActiveV2Waiter(d.lambda, func(o *lambda.FunctionActiveV2WaiterOptions) { o.MinDelay = 10 * time.Millisecond })
	if err := wait.Wait(ctx, &lambda.GetFunctionInput{FunctionName: aws.String(demoFunction)}, time.Minute); err != nil {
		return err
	}
	d.step("CreateFunction: %s, %s", demoFunction, aws.ToString(f.FunctionArn))
	d.note("a zip of %.1f MB whose bootstrap is this program, run as a process on the Lambda Runtime API", float64(len(code))/(1<<20))
	return nil
}

func (d *demoRun) createMapping(ctx context.Context, stream string) error {
	mapping, err := d.lambda.CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
		EventSourceArn:   &stream,
		FunctionName:     aws.String(demoFunction),
		StartingPosition: fn.EventSourcePositionLatest,
	})
	if err != nil {
		return err
	}
	d.step("CreateEventSourceMapping: from the stream to the function, starting at LATEST")
	d.note("%s", aws.ToString(mapping.UUID))
	return nil
}

// follow reads what the function prints, as `millstream logs -f` does.
func (d *demoRun) follow(ctx context.Context) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- d.admin.Logs(ctx, admin.LogsOptions{Function: demoFunction, Follow: true, Ready: func() { close(ready) }}, func(l admin.LogLine) error {
			var call seen
			if json.Unmarshal([]byte(l.Text), &call) == nil && call.Event != "" {
				d.calls <- call
			}
			return nil
		})
	}()
	stop = func() { cancel(); <-ended }
	select {
	case <-ready:
		return stop, nil
	case err := <-ended:
		cancel()
		return nil, err
	}
}

// write makes one change after another and waits for the call that each causes.
func (d *demoRun) write(ctx context.Context) error {
	d.step("Writes, and the function calls they cause")
	key := map[string]ddb.AttributeValue{"order": text("o-1")}
	writes := []struct {
		what string
		do   func() error
	}{
		{"PutItem     o-1  status=placed", func() error {
			_, err := d.tables.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(demoTable),
				Item: map[string]ddb.AttributeValue{"order": text("o-1"), "status": text("placed"), "total": &ddb.AttributeValueMemberN{Value: "19.90"}}})
			return err
		}},
		{"UpdateItem  o-1  status=paid", func() error { return d.setStatus(ctx, key, "paid") }},
		{"UpdateItem  o-1  status=shipped", func() error { return d.setStatus(ctx, key, "shipped") }},
		{"DeleteItem  o-1", func() error {
			_, err := d.tables.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: aws.String(demoTable), Key: key})
			return err
		}},
	}
	for i, w := range writes {
		sent := time.Now()
		if err := w.do(); err != nil {
			return fmt.Errorf("%s: %w", w.what, err)
		}
		answered := time.Since(sent)
		call, err := d.next(ctx)
		if err != nil {
			return fmt.Errorf("after %s: %w", w.what, err)
		}
		took := time.Unix(0, call.Started).Sub(sent)
		note := ""
		if i == 0 {
			note = "  (its process had to start)"
		} else {
			d.took = append(d.took, took)
		}
		fmt.Fprintf(d.out, "     %-32s answered after %9s\n", w.what, ms(answered))
		fmt.Fprintf(d.out, "       -> %-29s called after   %9s%s\n", call, ms(took), note)
	}
	return nil
}

func (d *demoRun) setStatus(ctx context.Context, key map[string]ddb.AttributeValue, to string) error {
	_, err := d.tables.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 aws.String(demoTable),
		Key:                       key,
		UpdateExpression:          aws.String("SET #s = :s"),
		ExpressionAttributeNames:  map[string]string{"#s": "status"},
		ExpressionAttributeValues: map[string]ddb.AttributeValue{":s": text(to)},
	})
	return err
}

// burst writes many items at once, to show batches.
func (d *demoRun) burst(ctx context.Context) error {
	const items = 100
	d.step("%d more, in BatchWriteItems of 25", items)
	sent := time.Now()
	for from := 0; from < items; from += 25 {
		var puts []ddb.WriteRequest
		for i := from; i < from+25; i++ {
			puts = append(puts, ddb.WriteRequest{PutRequest: &ddb.PutRequest{
				Item: map[string]ddb.AttributeValue{"order": text(fmt.Sprintf("o-%d", 100+i)), "status": text("placed")}}})
		}
		if _, err := d.tables.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]ddb.WriteRequest{demoTable: puts}}); err != nil {
			return fmt.Errorf("BatchWriteItem: %w", err)
		}
	}
	written := time.Since(sent)
	calls := map[int64]bool{}
	var last time.Duration
	for range items {
		call, err := d.next(ctx)
		if err != nil {
			return fmt.Errorf("after BatchWriteItem: %w", err)
		}
		calls[call.Started] = true
		last = max(last, time.Unix(0, call.Started).Sub(sent))
	}
	d.note("written in %s; the function saw every one of them, in %d calls, the last after %s", ms(written), len(calls), ms(last))
	settled, err := d.admin.Settle(ctx, demoWait)
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if !settled.Settled {
		return errors.New("settle: the trigger did not finish")
	}
	slices.Sort(d.took)
	fmt.Fprintf(d.out, "\nFrom sending a write to the function running: %s (median of %d, after the first).\n", ms(d.took[len(d.took)/2]), len(d.took))
	return nil
}

// next returns the next record that the function printed.
func (d *demoRun) next(ctx context.Context) (seen, error) {
	timeout := time.NewTimer(demoWait)
	defer timeout.Stop()
	select {
	case call := <-d.calls:
		return call, nil
	case <-ctx.Done():
		return seen{}, ctx.Err()
	case <-timeout.C:
		return seen{}, fmt.Errorf("the function was not called within %s", demoWait)
	}
}

func (d *demoRun) step(format string, args ...any) {
	d.steps++
	fmt.Fprintf(d.out, "%2d. %s\n", d.steps, fmt.Sprintf(format, args...))
}

func (d *demoRun) note(format string, args ...any) {
	fmt.Fprintf(d.out, "     %s\n", fmt.Sprintf(format, args...))
}

// String tells what the function saw.
func (s seen) String() string {
	switch {
	case s.Old != "" && s.New != "":
		return fmt.Sprintf("%s %s %s => %s", s.Event, s.Order, s.Old, s.New)
	case s.Old != "":
		return fmt.Sprintf("%s %s (was %s)", s.Event, s.Order, s.Old)
	}
	return fmt.Sprintf("%s %s %s", s.Event, s.Order, s.New)
}

func text(s string) ddb.AttributeValue { return &ddb.AttributeValueMemberS{Value: s} }

// ms prints a duration in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) }
