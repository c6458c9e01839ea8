package folders

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/app"
	"github.com/millstreamdb/millstream/internal/store"
)

// TestPastOfEarlierReleases: a folder that an earlier release left with a recovery log, whose rows have whole items and differences, checks clean, and its table is
// restored to each moment of which that release said what the table was; and to the same ones after changes by this release.
func TestPastOfEarlierReleases(t *testing.T) {
	archives, err := filepath.Glob("testdata/past/*.tar.zst")
	if err != nil || len(archives) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, archive := range archives {
		name := strings.TrimSuffix(filepath.Base(archive), ".tar.zst")
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			unpack(t, archive, dir)
			var want Past
			text, err := os.ReadFile("testdata/past/" + name + ".json.zst")
			if err == nil {
				text, err = inflate(text)
			}
			if err == nil {
				err = json.Unmarshal(text, &want)
			}
			if err != nil || len(want.Moments) == 0 {
				t.Fatal(err)
			}
			hasBoth(t, dir)
			for life := range 2 {
				clean(t, dir)
				remembers(t, dir, &want, life)
			}
			clean(t, dir)
		})
	}
}

// hasBoth checks that there are rows of both kinds to be undone.
func hasBoth(t *testing.T, dir string) {
	t.Helper()
	st, faults, err := store.Inspect(dir)
	if err != nil || len(faults) > 0 {
		t.Fatal(faults, err)
	}
	rows := map[byte]int{}
	err = st.Each([]byte{store.SpaceUndo}, func(_, value []byte) error { rows[value[0]]++; return nil })
	if e := st.EndInspection(); err != nil || e != nil || rows[1] == 0 || rows[2] == 0 {
		t.Fatalf("rows by their version: %v; %v, %v", rows, err, e)
	}
}

func clean(t *testing.T, dir string) {
	t.Helper()
	looked := false
	err := app.Check(t.Context(), dir, "", func(f app.Finding) {
		if looked = looked || f.Part == "recovery log of table past" && f.Looked > 0; len(f.Faults) > 0 {
			t.Errorf("%s: %q", f.Part, f.Faults)
		}
	})
	if err != nil || !looked {
		t.Fatal(looked, err)
	}
}

// remembers checks that a table is restored to what it was at each moment, then changes it.
func remembers(t *testing.T, dir string, want *Past, life int) {
	t.Helper()
	srv, err := millstream.Open(millstream.Options{Dir: dir, Now: func() time.Time { return want.Made.Add(time.Duration(1+life) * time.Minute) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}()
	db := dynamodb.NewFromConfig(srv.Config())
	for i, m := range want.Moments {
		to := fmt.Sprintf("past-%d-%d", life, i)
		_, err := db.RestoreTableToPointInTime(t.Context(), &dynamodb.RestoreTableToPointInTimeInput{SourceTableName: aws.String("past"), TargetTableName: &to, RestoreDateTime: &m.At})
		if err == nil {
			err = dynamodb.NewTableExistsWaiter(db).Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &to}, time.Minute, func(o *dynamodb.TableExistsWaiterOptions) {
				o.MinDelay, o.MaxDelay = 10*time.Millisecond, 10*time.Millisecond
			})
		}
		if err != nil {
			t.Fatalf("moment %d: %v", i, err)
		}
		is, err := ItemsOf(t.Context(), db, to)
		if err != nil || !maps.Equal(is, m.Items) {
			t.Errorf("moment %d: %d items, want %d; %v", i, len(is), len(m.Items), err)
		}
	}
	for i := range 20 { // a difference each
		_, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
			TableName: aws.String("past"), Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: fmt.Sprint("item ", i)}},
			UpdateExpression: aws.String("ADD changes :one"), ExpressionAttributeValues: map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
