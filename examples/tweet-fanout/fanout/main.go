// Command fanout writes a tweet into the timelines of its pet's followers.
//
// A call serves at most SLICE_SIZE followers of a tweet. What is left becomes an item
// of the table Slices, whose stream calls the same function again. So no call takes
// long, whatever a dog's fame, and the tweets of other pets wait for a slice of it at
// most. Everything written is the same when written twice.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

var (
	db        *dynamodb.Client
	followers = os.Getenv("FOLLOWERS")
	timelines = os.Getenv("TIMELINES")
	slices    = os.Getenv("SLICES")
	sliceSize int32
)

// work is a tweet, or the rest of one: the followers behind after.
type work struct {
	pet, id, text, after string
}

// handle serves the tweets of a batch at once, so that none waits for another.
func handle(ctx context.Context, e events.DynamoDBEvent) error {
	errs := make([]error, len(e.Records))
	var all sync.WaitGroup
	for i, r := range e.Records {
		image := r.Change.NewImage
		w := work{pet: image["pet"].String(), id: image["id"].String(), text: image["text"].String()}
		if after, ok := image["after"]; ok {
			w.after = after.String()
		}
		all.Go(func() { errs[i] = w.do(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// do serves one slice, and leaves the rest to a later call.
func (w work) do(ctx context.Context) error {
	in := &dynamodb.QueryInput{
		TableName: &followers, Limit: &sliceSize, KeyConditionExpression: aws.String("pet = :pet"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pet": text(w.pet)},
	}
	if w.after != "" {
		in.ExclusiveStartKey = map[string]types.AttributeValue{"pet": text(w.pet), "reader": text(w.after)}
	}
	page, err := db.Query(ctx, in)
	if err != nil {
		return err
	}
	var puts []types.WriteRequest
	for i, f := range page.Items {
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
			"reader": f["reader"], "id": text(w.id), "pet": text(w.pet), "text": text(w.text),
		}}})
		if len(puts) == 25 || i == len(page.Items)-1 {
			if err := write(ctx, puts); err != nil {
				return err
			}
			puts = nil
		}
	}
	last, ok := page.LastEvaluatedKey["reader"].(*types.AttributeValueMemberS)
	if !ok {
		return nil
	}
	// A second try of this call must not make a second piece of work: an item that is
	// there stays as it is, and what changes nothing makes no record.
	_, err = db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &slices, ConditionExpression: aws.String("attribute_not_exists(tweet)"),
		Item: map[string]types.AttributeValue{
			"tweet": text(w.pet + " " + w.id), "after": last, "pet": text(w.pet), "id": text(w.id), "text": text(w.text),
			"expires": &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Add(48*time.Hour).Unix(), 10)},
		},
	})
	if there := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &there) {
		return nil
	}
	return err
}

func write(ctx context.Context, puts []types.WriteRequest) error {
	for len(puts) > 0 {
		out, err := db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{timelines: puts}})
		if err != nil {
			return err
		}
		puts = out.UnprocessedItems[timelines]
	}
	return nil
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func main() {
	n, err := strconv.ParseInt(os.Getenv("SLICE_SIZE"), 10, 32)
	if err != nil || n < 1 {
		log.Fatal(fmt.Errorf("SLICE_SIZE: want a number of followers, not %q", os.Getenv("SLICE_SIZE")))
	}
	sliceSize = int32(n)
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	db = dynamodb.NewFromConfig(cfg)
	lambda.Start(handle)
}
