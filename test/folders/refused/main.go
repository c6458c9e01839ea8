// Command refused checks that an older program refuses a folder in which this one has put what that one does not know, says that a newer release
// has, and leaves the folder as it was: this one goes on with it.
//
//	go run ./test/folders/refused -program ./millstream -older ./older
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func main() {
	program := flag.String("program", "", "this release's program")
	older := flag.String("older", "", "the older one's")
	flag.Parse()
	if err := run(context.Background(), *program, *older); err != nil {
		log.Fatal(err)
	}
}

// port is this check's own.
const port = "127.0.0.1:18432"

func run(ctx context.Context, program, older string) (err error) {
	top, err := os.MkdirTemp("", "refused")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(top)) }()
	dir := filepath.Join(top, "data")
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "one"}}
	err = serving(program, dir, func(db *dynamodb.Client) error {
		_, err := db.CreateTable(ctx, &dynamodb.CreateTableInput{
			TableName: aws.String("orders"), BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
			KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		})
		if err == nil {
			_, err = db.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
				TableName: aws.String("orders"), PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
			})
		}
		if err == nil {
			_, err = db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("orders"), Item: key})
		}
		return err
	})
	if err != nil {
		return err
	}
	soon, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(soon, older, "serve", "--listen", port, "--data", dir)
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	if soon.Err() != nil || err == nil {
		return fmt.Errorf("the older program does not refuse the folder: %s", said.Bytes())
	}
	fmt.Printf("it says: %s", said.Bytes())
	if !strings.Contains(said.String(), "newer release") {
		return fmt.Errorf("and not that a newer release has written to the folder (%w)", err)
	}
	return serving(program, dir, func(db *dynamodb.Client) error {
		got, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("orders"), Key: key})
		if err == nil && got.Item == nil {
			err = errors.New("the item is not there any more")
		}
		return err
	})
}

// serving does something at a server of a folder, which is killed then.
func serving(program, dir string, do func(*dynamodb.Client) error) error {
	url := "http://" + port
	cmd := exec.Command(program, "serve", "--listen", port, "--data", dir, "--log-level", "warn")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	for range 300 {
		if _, err := http.Get(url + "/healthz"); err == nil {
			return do(dynamodb.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: credentials.NewStaticCredentialsProvider("local", "local", "")}))
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("the server does not answer")
}
