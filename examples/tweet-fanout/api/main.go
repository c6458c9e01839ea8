// Command api takes tweets and answers at once; what follows from a tweet is the
// stream's business.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

var db *dynamodb.Client

type tweet struct {
	Pet  string `json:"pet"`
	ID   string `json:"id"`
	Text string `json:"text"`
}

func handle(ctx context.Context, r events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	switch r.RouteKey {
	case "POST /tweets":
		return post(ctx, r.Body)
	case "PUT /pets/{pet}/followers/{reader}":
		return follow(ctx, r.PathParameters["pet"], r.PathParameters["reader"])
	case "GET /timelines/{reader}":
		return timeline(ctx, r.PathParameters["reader"])
	}
	return answer(404, nil)
}

func post(ctx context.Context, body string) (events.APIGatewayV2HTTPResponse, error) {
	var t tweet
	if err := json.Unmarshal([]byte(body), &t); err != nil || t.Pet == "" || t.Text == "" {
		return answer(400, map[string]string{"error": "want pet and text"})
	}
	// Ids sort by time, so that a timeline does.
	t.ID = fmt.Sprintf("%013d-%s", time.Now().UnixMilli(), rand.Text()[:8])
	_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(os.Getenv("TWEETS")), Item: map[string]types.AttributeValue{
		"pet": text(t.Pet), "id": text(t.ID), "text": text(t.Text),
	}})
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, err
	}
	return answer(201, t)
}

func follow(ctx context.Context, pet, reader string) (events.APIGatewayV2HTTPResponse, error) {
	_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(os.Getenv("FOLLOWERS")), Item: map[string]types.AttributeValue{
		"pet": text(pet), "reader": text(reader),
	}})
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, err
	}
	return answer(204, nil)
}

// timeline answers the newest tweets of the pets that a reader follows.
func timeline(ctx context.Context, reader string) (events.APIGatewayV2HTTPResponse, error) {
	out, err := db.Query(ctx, &dynamodb.QueryInput{
		TableName: aws.String(os.Getenv("TIMELINES")), ScanIndexForward: aws.Bool(false), Limit: aws.Int32(50),
		KeyConditionExpression:    aws.String("reader = :reader"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":reader": text(reader)},
	})
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, err
	}
	tweets := []tweet{}
	for _, item := range out.Items {
		tweets = append(tweets, tweet{value(item["pet"]), value(item["id"]), value(item["text"])})
	}
	return answer(200, tweets)
}

func answer(status int, body any) (events.APIGatewayV2HTTPResponse, error) {
	r := events.APIGatewayV2HTTPResponse{StatusCode: status}
	if body == nil {
		return r, nil
	}
	b, err := json.Marshal(body)
	r.Headers, r.Body = map[string]string{"content-type": "application/json"}, string(b)
	return r, err
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func value(v types.AttributeValue) string {
	if s, ok := v.(*types.AttributeValueMemberS); ok {
		return s.Value
	}
	return ""
}

func main() {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	db = dynamodb.NewFromConfig(cfg)
	lambda.Start(handle)
}
