// Command tracer is a function that writes an item into the table of its variable TABLE, if it has one, by AWS's SDK. It fails
// as long as there is no file of the name in its variable WANTS.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func main() {
	lambda.Start(func(ctx context.Context, _ json.RawMessage) (string, error) {
		fmt.Println("trace", os.Getenv("_X_AMZN_TRACE_ID"))
		if file := os.Getenv("WANTS"); file != "" {
			if _, err := os.Stat(file); err != nil {
				return "", err
			}
		}
		table := os.Getenv("TABLE")
		if table == "" {
			return "done", nil
		}
		c, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return "", err
		}
		lc, _ := lambdacontext.FromContext(ctx)
		_, err = dynamodb.NewFromConfig(c).PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &table, Item: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: lc.AwsRequestID}},
		})
		return "written", err
	})
}
