package folders

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
)

// Dump is what a server answers when it is asked for all that it holds.
type Dump struct {
	Tables    []*types.TableDescription
	TTL       map[string]*types.TimeToLiveDescription
	Tags      map[string][]types.Tag
	Items     map[string][]json.RawMessage // by table, and by table and index
	Records   map[string][]json.RawMessage
	Mappings  []map[string]any
	Functions map[string]string // name → sum of the code
	Aside     []map[string]any  // records that are set aside, with what is known of each
	Triggers  []map[string]any  // positions
}

// Read asks a server for all of it. c reaches it with the SDK's clients; get makes a
// GET request of Millstream's own protocol.
func Read(ctx context.Context, c aws.Config, get func(path string) ([]byte, error)) (*Dump, error) {
	db, streams, fn := dynamodb.NewFromConfig(c), dynamodbstreams.NewFromConfig(c), lambda.NewFromConfig(c)
	d := &Dump{
		TTL: map[string]*types.TimeToLiveDescription{}, Tags: map[string][]types.Tag{}, Items: map[string][]json.RawMessage{},
		Records: map[string][]json.RawMessage{}, Functions: map[string]string{},
	}
	names, err := db.ListTables(ctx, &dynamodb.ListTablesInput{})
	if err != nil {
		return nil, err
	}
	for _, name := range names.TableNames {
		if err := d.readTable(ctx, db, streams, name); err != nil {
			return nil, fmt.Errorf("table %s: %w", name, err)
		}
	}
	functions, err := fn.ListFunctions(ctx, &lambda.ListFunctionsInput{})
	if err != nil {
		return nil, err
	}
	for _, f := range functions.Functions {
		d.Functions[*f.FunctionName] = *f.CodeSha256
	}
	return d, d.readTriggers(get)
}

func (d *Dump) readTable(ctx context.Context, db *dynamodb.Client, streams *dynamodbstreams.Client, name string) error {
	table, err := db.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name})
	if err != nil {
		return err
	}
	d.Tables = append(d.Tables, table.Table)
	ttl, err := db.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &name})
	if err != nil {
		return err
	}
	d.TTL[name] = ttl.TimeToLiveDescription
	tags, err := db.ListTagsOfResource(ctx, &dynamodb.ListTagsOfResourceInput{ResourceArn: table.Table.TableArn})
	if err != nil {
		return err
	}
	d.Tags[name] = tags.Tags
	if err := d.scan(ctx, db, name, name, nil); err != nil {
		return err
	}
	for _, index := range table.Table.GlobalSecondaryIndexes {
		if err := d.scan(ctx, db, name+"/"+*index.IndexName, name, index.IndexName); err != nil {
			return err
		}
	}
	if table.Table.LatestStreamArn == nil {
		return nil
	}
	stream, err := streams.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: table.Table.LatestStreamArn})
	if err != nil {
		return err
	}
	for _, shard := range stream.StreamDescription.Shards {
		at, err := streams.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
			StreamArn: table.Table.LatestStreamArn, ShardId: shard.ShardId, ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			return err
		}
		for next := at.ShardIterator; next != nil; {
			page, err := streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: next})
			if err != nil {
				return err
			}
			for _, r := range page.Records {
				text, err := json.Marshal(r)
				if err != nil {
					return err
				}
				d.Records[*shard.ShardId] = append(d.Records[*shard.ShardId], text)
			}
			if next = page.NextShardIterator; len(page.Records) == 0 {
				break
			}
		}
	}
	return nil
}

func (d *Dump) scan(ctx context.Context, db *dynamodb.Client, as, table string, index *string) error {
	pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: &table, IndexName: index})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			text, err := json.Marshal(it)
			if err != nil {
				return err
			}
			d.Items[as] = append(d.Items[as], text)
		}
	}
	return nil
}

// What a trigger shows beside this changes from start to start.
var lasting = []string{"uuid", "functionArn", "streamArn", "state", "onFailure", "tumblingWindowSeconds"}

func (d *Dump) readTriggers(get func(path string) ([]byte, error)) error {
	var list struct{ Triggers []map[string]any }
	if err := getJSON(get, "triggers", &list); err != nil {
		return err
	}
	for _, t := range list.Triggers {
		id, _ := t["uuid"].(string)
		kept := map[string]any{}
		for _, name := range lasting {
			kept[name] = t[name]
		}
		d.Mappings = append(d.Mappings, kept)
		shards, _ := t["shards"].([]any)
		for _, shard := range shards {
			s, _ := shard.(map[string]any)
			d.Triggers = append(d.Triggers, map[string]any{"uuid": id, "shard": s["shard"], "position": s["position"]})
		}
		if set, _ := t["setAside"].(map[string]any); set != nil {
			kept["held"], kept["parked"] = set["held"], set["parked"]
		}
		var aside struct{ Records []map[string]any }
		if err := getJSON(get, "parked?trigger="+id, &aside); err != nil {
			return err
		}
		for _, r := range aside.Records {
			var whole map[string]any
			rid, _ := r["id"].(string)
			if err := getJSON(get, "parked/record?trigger="+id+"&id="+rid, &whole); err != nil {
				return err
			}
			d.Aside = append(d.Aside, whole)
		}
	}
	slices.SortFunc(d.Mappings, func(a, b map[string]any) int { return strings.Compare(fmt.Sprint(a["uuid"]), fmt.Sprint(b["uuid"])) })
	return nil
}

func getJSON(get func(path string) ([]byte, error), path string, into any) error {
	b, err := get(path)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Getter returns Read's get for a server at this URL.
func Getter(client *http.Client, url string) func(path string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		r, err := client.Get(url + "/_millstream/v1/" + path)
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(r.Body)
		if err == nil && r.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d: %s", r.StatusCode, b)
		}
		return b, errors.Join(err, r.Body.Close())
	}
}
