package folders

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Past is what is known of a fixture of testdata/past: what its table was at some moments.
type Past struct {
	Made    time.Time
	Moments []Moment
}

// Moment is one that was told as the latest restorable one, and the table's items then, by their JSON.
type Moment struct {
	At    time.Time
	Items map[string]string // by id
}

// ItemsOf reads a table whose key is id.
func ItemsOf(ctx context.Context, db *dynamodb.Client, table string) (map[string]string, error) {
	items := map[string]string{}
	for pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, it := range page.Items {
			id, err := json.Marshal(it["id"])
			if err != nil {
				return nil, err
			}
			text, err := json.Marshal(it)
			if err != nil {
				return nil, err
			}
			items[string(id)] = string(text)
		}
	}
	return items, nil
}
