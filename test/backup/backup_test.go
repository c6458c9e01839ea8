package backup

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/backup"
)

const writers = 16

// staged is the copy that a server has made.
type staged struct {
	client *admin.Client
	st     admin.Stage
}

func (s staged) List(context.Context) (files []backup.File, err error) {
	for _, f := range s.st.Files {
		files = append(files, backup.File{Name: f.Name, Size: f.Size})
	}
	return files, nil
}

func (s staged) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return s.client.StagedFile(ctx, s.st.ID, name)
}

func makeTable(ctx context.Context, db *dynamodb.Client, name string) error {
	str := types.ScalarAttributeTypeS
	_, err := db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: str}, {AttributeName: aws.String("sk"), AttributeType: types.ScalarAttributeTypeN},
			{AttributeName: aws.String("by"), AttributeType: str},
		},
		KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}, {AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange}},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String("by-writer"), Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
			KeySchema: []types.KeySchemaElement{{AttributeName: aws.String("by"), KeyType: types.KeyTypeHash}},
		}},
		StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewImage},
	})
	return err
}

// count returns how many items a writer has in a table or an index, and whether their numbers
// are those from 1 on.
func count(ctx context.Context, db *dynamodb.Client, table, attr string, index *string, writer int) (n int, whole bool, err error) {
	pages := dynamodb.NewQueryPaginator(db, &dynamodb.QueryInput{
		TableName: &table, IndexName: index, KeyConditionExpression: aws.String("#a = :w"), ExpressionAttributeNames: map[string]string{"#a": attr},
		ExpressionAttributeValues: map[string]types.AttributeValue{":w": &types.AttributeValueMemberS{Value: strconv.Itoa(writer)}},
	})
	highest := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, false, err
		}
		for _, it := range page.Items {
			sk, err := strconv.Atoi(it["sk"].(*types.AttributeValueMemberN).Value)
			if err != nil {
				return 0, false, err
			}
			highest = max(highest, sk)
			n++
		}
	}
	return n, n == highest, nil
}

// TestBackupsUnderLoad: backups of a server with 16 writers, each of whom puts one item into
// two tables by a transaction, again and again. Each backup is restored into a folder that opens,
// holds for every writer a prefix of its writes with all that were acknowledged before the
// backup began, the same in both tables and in their indexes. MILLSTREAM_BACKUPS says how many.
func TestBackupsUnderLoad(t *testing.T) {
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	if v := os.Getenv("MILLSTREAM_BACKUPS"); v != "" {
		var err error
		if rounds, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	srv, err := millstream.Open(millstream.Options{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	web := httptest.NewServer(srv.Handler())
	defer web.Close()
	client, err := admin.New(admin.Options{Endpoint: web.URL})
	if err != nil {
		t.Fatal(err)
	}
	db := dynamodb.NewFromConfig(srv.Config())
	for _, name := range []string{"table-a", "table-b"} {
		if err := makeTable(t.Context(), db, name); err != nil {
			t.Fatal(err)
		}
	}
	var acked [writers]atomic.Int64
	var slowest atomic.Int64 // of the writes since it was last zero
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := int64(1); ctx.Err() == nil; n++ {
				item := map[string]types.AttributeValue{
					"pk": &types.AttributeValueMemberS{Value: strconv.Itoa(w)}, "sk": &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)},
					"by": &types.AttributeValueMemberS{Value: strconv.Itoa(w)}, "text": &types.AttributeValueMemberB{Value: make([]byte, 500)},
				}
				began := time.Now()
				_, err := db.TransactWriteItems(context.WithoutCancel(ctx), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
					{Put: &types.Put{TableName: aws.String("table-a"), Item: item}}, {Put: &types.Put{TableName: aws.String("table-b"), Item: item}},
				}})
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
				took := int64(time.Since(began))
				for s := slowest.Load(); took > s && !slowest.CompareAndSwap(s, took); s = slowest.Load() {
				}
				acked[w].Store(n)
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	defer wg.Wait()
	defer stop()
	place, err := backup.Open(t.Context(), filepath.Join(t.TempDir(), "backups"))
	if err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		time.Sleep(200 * time.Millisecond)
		quiet := time.Duration(slowest.Swap(0))
		var before [writers]int64
		for w := range writers {
			before[w] = acked[w].Load()
		}
		st, err := client.Stage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m, done, err := backup.Take(t.Context(), staged{client, st}, place, backup.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Unstage(t.Context(), st.ID); err != nil {
			t.Fatal(err)
		}
		during := time.Duration(slowest.Swap(0))
		dir := filepath.Join(t.TempDir(), "restored")
		if err := backup.Restore(t.Context(), place, m, dir, backup.Options{}); err != nil {
			t.Fatal(err)
		}
		total, err := judge(t.Context(), dir, before)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		t.Logf("backup %d: %d bytes, %d new, %d items a table; slowest write %s, of before %s", round, m.Bytes, done.Copied, total, during, quiet)
	}
}

func judge(ctx context.Context, dir string, before [writers]int64) (total int, err error) {
	srv, err := millstream.Open(millstream.Options{Dir: dir})
	if err != nil {
		return 0, err
	}
	defer srv.Close()
	db := dynamodb.NewFromConfig(srv.Config())
	for w := range writers {
		n, whole, err := count(ctx, db, "table-a", "pk", nil, w)
		if err != nil {
			return 0, err
		}
		if !whole || int64(n) < before[w] {
			return 0, fmt.Errorf("writer %d has %d items (from 1 on: %v), and %d were acknowledged before the backup", w, n, whole, before[w])
		}
		total += n
		for _, other := range []struct {
			table, attr string
			index       *string
		}{{"table-b", "pk", nil}, {"table-a", "by", aws.String("by-writer")}, {"table-b", "by", aws.String("by-writer")}} {
			m, whole, err := count(ctx, db, other.table, other.attr, other.index, w)
			if err != nil {
				return 0, err
			}
			if !whole || m != n {
				return 0, fmt.Errorf("writer %d has %d items, and %d in table %s by %s", w, n, m, other.table, other.attr)
			}
		}
	}
	return total, nil
}
