// Command job runs the CI job of each commit exactly once. Whoever moves the item from queued to running runs
// it; a record that is delivered again finds the item moved on. A run that died, by a crash or its timeout, has
// left the item running for longer than any run may take: then it is taken over, and that is counted.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const timeout = 10 * time.Second // of the function, as in the template

var db *dynamodb.Client

func handle(ctx context.Context, event events.DynamoDBEvent) error {
	for _, r := range event.Records {
		if err := run(ctx, r.Change.NewImage["commit"].String(), r.Change.NewImage["repository"].String()); err != nil {
			return err
		}
	}
	return nil
}

func run(ctx context.Context, commit, repository string) error {
	now := time.Now()
	started, err := update(ctx, commit, "SET #s = :running, startedAt = :now ADD attempts :one", "#s = :queued OR #s = :running AND startedAt < :dead", map[string]types.AttributeValue{
		":queued": text("queued"), ":running": text("running"), ":one": number(1), ":now": number(now.UnixMilli()),
		":dead": number(now.Add(-timeout).UnixMilli()),
	})
	if err != nil {
		return err
	}
	if !started {
		return stillRunning(ctx, commit)
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", os.Getenv("JOB"))
	cmd.Env = append(os.Environ(), "COMMIT="+commit, "REPOSITORY="+repository)
	out, failed := cmd.CombinedOutput()
	status := "passed"
	if failed != nil {
		status = "failed"
	}
	_, err = update(ctx, commit, "SET #s = :status, #o = :output", "#s = :running AND startedAt = :now", map[string]types.AttributeValue{
		":status": text(status), ":output": text(string(out)), ":running": text("running"), ":now": number(now.UnixMilli()),
	})
	fmt.Println(commit, status)
	return err
}

// stillRunning is nil when a job has ended, and an error, so that it is looked at again, while another run of it may be alive.
func stillRunning(ctx context.Context, commit string) error {
	out, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(os.Getenv("JOBS")), Key: key(commit), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return err
	}
	if s, ok := out.Item["status"].(*types.AttributeValueMemberS); ok && s.Value == "running" {
		return fmt.Errorf("the job of %s is being run, or the one who ran it has died", commit)
	}
	return nil
}

// update changes a job; false when its condition does not hold.
func update(ctx context.Context, commit, expression, condition string, values map[string]types.AttributeValue) (bool, error) {
	in := &dynamodb.UpdateItemInput{
		TableName: aws.String(os.Getenv("JOBS")), Key: key(commit), UpdateExpression: &expression, ConditionExpression: &condition,
		ExpressionAttributeNames: map[string]string{"#s": "status"}, ExpressionAttributeValues: values,
	}
	if values[":output"] != nil {
		in.ExpressionAttributeNames["#o"] = "output"
	}
	_, err := db.UpdateItem(ctx, in)
	var not *types.ConditionalCheckFailedException
	if errors.As(err, &not) {
		return false, nil
	}
	return err == nil, err
}

func key(commit string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"commit": text(commit)}
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func main() {
	c, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	db = dynamodb.NewFromConfig(c)
	lambda.Start(handle)
}
