package main

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
)

func note(_ context.Context, event events.DynamoDBEvent) error {
	for _, r := range event.Records {
		fmt.Println(os.Getenv("GREETING"), r.Change.Keys["id"].String())
	}
	return nil
}

func main() { lambda.Start(note) }
