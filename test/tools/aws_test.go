package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// The AWS CLI is not among what the tests install. A stand-in, which is this test's own
// program, does what the pages ask of it, by the same variables.

// standIn puts a program `aws` into a folder.
func standIn(t *testing.T, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "aws"), []byte("#!/bin/sh\nTOOLS_AS_AWS=1 exec '"+self+"' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// asAWS is what the stand-in does.
func asAWS(ctx context.Context, args []string) error {
	if len(args) < 2 || len(args)%2 != 0 {
		return fmt.Errorf("aws: the tests' stand-in does not know %q", args)
	}
	flags := map[string]string{}
	for i := 2; i < len(args); i += 2 {
		flags[args[i]] = args[i+1]
	}
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	switch ask := args[0] + " " + args[1] + " " + flags["--query"]; ask {
	case "dynamodb put-item ":
		var given map[string]struct{ S string }
		if err := json.Unmarshal([]byte(flags["--item"]), &given); err != nil {
			return err
		}
		item := map[string]types.AttributeValue{}
		for name, value := range given {
			item[name] = &types.AttributeValueMemberS{Value: value.S}
		}
		table := flags["--table-name"]
		_, err := dynamodb.NewFromConfig(c).PutItem(ctx, &dynamodb.PutItemInput{TableName: &table, Item: item})
		return err
	case "dynamodb list-tables TableNames[0]":
		out, err := dynamodb.NewFromConfig(c).ListTables(ctx, &dynamodb.ListTablesInput{})
		if err == nil && len(out.TableNames) == 0 {
			err = errors.New("there is no table")
		}
		if err != nil {
			return err
		}
		fmt.Println(out.TableNames[0])
		return nil
	case "lambda list-functions Functions[0].FunctionName":
		out, err := lambda.NewFromConfig(c).ListFunctions(ctx, &lambda.ListFunctionsInput{})
		if err == nil && len(out.Functions) == 0 {
			err = errors.New("there is no function")
		}
		if err != nil {
			return err
		}
		fmt.Println(*out.Functions[0].FunctionName)
		return nil
	default:
		return fmt.Errorf("aws: the tests' stand-in does not know %q", ask)
	}
}
