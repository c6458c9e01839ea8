package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
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

// kept makes a folder with a range in quarantine, and the place to which it was replicated.
func kept(ctx context.Context, program, to string) error {
	if _, err := os.Stat(to + ".tar.zst"); err == nil {
		return fmt.Errorf("%s.tar.zst is there: a fixture is never changed", to)
	}
	top, err := os.MkdirTemp("", "folders")
	if err != nil {
		return err
	}
	defer os.RemoveAll(top)
	k := &keeping{maker: maker{program: program, dir: filepath.Join(top, "data"), more: []string{"--replicate", filepath.Join(top, "place"), "--replicate-every", "100ms"}}}
	k.want.Items = map[string]string{}
	if err := k.start(); err != nil {
		return err
	}
	if err := errors.Join(k.fill(ctx), k.kill()); err != nil {
		return err
	}
	if err := k.start(); err != nil { // what there is, is in tables now
		return err
	}
	if err := errors.Join(k.whole(ctx), k.kill(), k.damage()); err != nil {
		return err
	}
	if err := k.start(); err != nil {
		return err
	}
	if err := errors.Join(k.meet(ctx), k.kill()); err != nil {
		return err
	}
	packed, err := pack(top)
	if err != nil {
		return err
	}
	if len(packed) > maxBytes {
		return fmt.Errorf("the folders take %d bytes, and may take %d", len(packed), maxBytes)
	}
	text, err := json.Marshal(k.want)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d bytes; %d items, of which %d are lost\n", to, len(packed), len(k.want.Items), len(k.want.Lost))
	return errors.Join(os.WriteFile(to+".tar.zst", packed, 0o644), os.WriteFile(to+".json.zst", z.EncodeAll(text, nil), 0o644))
}

type keeping struct {
	maker
	want   folders.Kept
	backup string // the place's newest
}

func (k *keeping) put(ctx context.Context, from, to int) error {
	db := dynamodb.NewFromConfig(k.config)
	for i := from; i < to; i++ {
		id, text := fmt.Sprint("item ", i), strings.Repeat(fmt.Sprint(i, " "), 150)
		_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String("kept"), Item: map[string]types.AttributeValue{
			"id": &types.AttributeValueMemberS{Value: id}, "text": &types.AttributeValueMemberS{Value: text},
		}})
		if err != nil && k.want.Lost != nil { // its place is among what is lost
			continue
		}
		if err != nil {
			return err
		}
		if k.want.Items[id] = text; k.want.Lost != nil {
			k.want.Late = append(k.want.Late, id)
		}
	}
	return nil
}

func (k *keeping) fill(ctx context.Context) error {
	db := dynamodb.NewFromConfig(k.config)
	_, err := db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String("kept"), BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
	})
	if err == nil {
		_, err = db.UpdateContinuousBackups(ctx, &dynamodb.UpdateContinuousBackupsInput{
			TableName: aws.String("kept"), PointInTimeRecoverySpecification: &types.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: aws.Bool(true)},
		})
	}
	return errors.Join(err, k.put(ctx, 0, 200), k.replicated(""))
}

// replicated waits until the place has all, with another backup than one.
func (k *keeping) replicated(but string) error {
	get := folders.Getter(http.DefaultClient, k.url)
	return wait(func() error {
		text, err := get("status")
		if err != nil {
			return err
		}
		var st struct {
			Replication struct {
				LagSeconds float64
				Backup     string
			}
		}
		if err := json.Unmarshal(text, &st); err != nil {
			return err
		}
		if st.Replication.Backup == "" || st.Replication.Backup == but || st.Replication.LagSeconds > 0 {
			return fmt.Errorf("not all is replicated: %s", text)
		}
		k.backup = st.Replication.Backup
		return nil
	})
}

// whole notes the moment up to which all is well.
func (k *keeping) whole(ctx context.Context) error {
	if err := errors.Join(k.put(ctx, 200, 220), k.replicated("")); err != nil {
		return err
	}
	k.want.Whole = time.Now()
	return nil
}

// damage changes a byte of the largest of the engine's tables.
func (k *keeping) damage() error {
	tables, err := filepath.Glob(filepath.Join(k.dir, "db", "*.sst"))
	if err != nil {
		return err
	}
	var largest []byte
	var name string
	for _, table := range tables {
		content, err := os.ReadFile(table)
		if err != nil {
			return err
		}
		if len(content) > len(largest) {
			largest, name = content, table
		}
	}
	if name == "" {
		return errors.New("there is no table of the engine")
	}
	largest[len(largest)/4] ^= 1
	return os.WriteFile(name, largest, 0o600)
}

// meet has the damage met, and the place get a backup without what it took.
func (k *keeping) meet(ctx context.Context) error {
	was, db := k.backup, dynamodb.NewFromConfig(k.config, func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
	if err := wait(func() error {
		_, err := os.Stat(filepath.Join(k.dir, "QUARANTINE"))
		if _, e := db.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String("kept"), ConsistentRead: aws.Bool(true)}); e == nil {
			return errors.New("the damage is not met")
		}
		return err
	}); err != nil {
		return err
	}
	for id := range k.want.Items {
		got, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("kept"), Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}}})
		switch {
		case err != nil:
			k.want.Lost = append(k.want.Lost, id)
		case got.Item == nil:
			return fmt.Errorf("%s is absent", id)
		}
	}
	if len(k.want.Lost) == 0 {
		return errors.New("nothing is lost: the damage was elsewhere")
	}
	return errors.Join(k.put(ctx, 220, 230), k.replicated(was))
}
