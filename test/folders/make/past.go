package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/klauspost/compress/zstd"

	"github.com/millstreamdb/millstream/test/folders"
)

// past makes a folder with a recovery log, of rows with whole items and with differences, of two lives.
func past(ctx context.Context, program, to string) error {
	if _, err := os.Stat(to + ".tar.zst"); err == nil {
		return fmt.Errorf("%s.tar.zst is there: a fixture is never changed", to)
	}
	top, err := os.MkdirTemp("", "folders")
	if err != nil {
		return err
	}
	defer os.RemoveAll(top)
	p := &remembering{maker: maker{program: program, dir: filepath.Join(top, "data")}}
	for life := range 2 {
		if err := p.start(); err != nil {
			return err
		}
		if err := errors.Join(p.live(ctx, life), p.kill()); err != nil {
			return err
		}
	}
	p.want.Made = time.Now()
	packed, err := pack(p.dir)
	if err != nil {
		return err
	}
	if len(packed) > maxBytes {
		return fmt.Errorf("the folder takes %d bytes, and may take %d", len(packed), maxBytes)
	}
	text, err := json.Marshal(p.want)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return err
	}
	text = z.EncodeAll(text, nil)
	fmt.Printf("%s: %d bytes, and %d of %d moments\n", to, len(packed), len(text), len(p.want.Moments))
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to+".tar.zst", packed, 0o644), os.WriteFile(to+".json.zst", text, 0o644))
}

type remembering struct {
	maker
	want folders.Past
}

// live changes the table, round by round: items are made, replaced, changed a little and much, removed, and made again.
func (p *remembering) live(ctx context.Context, life int) error {
	db, table := dynamodb.NewFromConfig(p.config), aws.String("past")
	key := func(i int) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: fmt.Sprint("item ", i)}}
	}
	if life == 0 {
		_, err := db.CreateTable(ctx, &dynamodb.CreateTableInput{
			TableName: table, BillingMode: types.BillingModePayPerRequest,
			AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
			KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		})
		if err == nil {
			_, err = db.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
				TableName: table, PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
			})
		}
		if err != nil {
			return err
		}
	}
	for round := life * 10; round < life*10+10; round++ {
		for i := range 20 {
			var err error
			switch n := (7*round + i) % 12; {
			case round == 0 || n == 0: // another item, or a new one
				_, err = db.PutItem(ctx, &dynamodb.PutItemInput{TableName: table, Item: map[string]types.AttributeValue{
					"id": key(i)["id"], "text": &types.AttributeValueMemberS{Value: strings.Repeat(fmt.Sprint(round, " of ", i, ", "), 40)},
					"lines": &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberN{Value: fmt.Sprint(round)}}},
				}})
			case n == 1:
				_, err = db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: table, Key: key(i)})
			case n == 2: // a list that grows
				_, err = db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
					TableName: table, Key: key(i), UpdateExpression: aws.String("SET #l = list_append(if_not_exists(#l, :none), :more)"), ExpressionAttributeNames: map[string]string{"#l": "lines"},
					ExpressionAttributeValues: map[string]types.AttributeValue{
						":none": &types.AttributeValueMemberL{}, ":more": &types.AttributeValueMemberL{Value: []types.AttributeValue{&types.AttributeValueMemberS{Value: strings.Repeat("more ", round)}}},
					},
				})
			case n < 9:
				_, err = db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
					TableName: table, Key: key(i), UpdateExpression: aws.String("ADD changes :one"),
					ExpressionAttributeValues: map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}},
				})
			}
			if err != nil {
				return err
			}
		}
		if round%2 == 0 {
			continue
		}
		told, err := db.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: table})
		if err != nil {
			return err
		}
		items, err := folders.ItemsOf(ctx, db, *table)
		if err != nil {
			return err
		}
		p.want.Moments = append(p.want.Moments, folders.Moment{At: *told.ContinuousBackupsDescription.PointInTimeRecoveryDescription.LatestRestorableDateTime, Items: items})
	}
	return nil
}
