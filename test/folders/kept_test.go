package folders

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream"
	"github.com/millstreamdb/millstream/internal/backup"
	"github.com/millstreamdb/millstream/internal/chain"
)

// TestKeptFoldersOfEarlierReleases: a folder that an earlier release left with a range in quarantine opens, and so does what is restored of the place to which it
// was replicated. What damage took is an error, never absent, also in what was restored from after it; what is restored to before has all.
func TestKeptFoldersOfEarlierReleases(t *testing.T) {
	archives, err := filepath.Glob("testdata/kept/*.tar.zst")
	if err != nil || len(archives) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, archive := range archives {
		name := strings.TrimSuffix(filepath.Base(archive), ".tar.zst")
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			unpack(t, archive, dir)
			var want Kept
			text, err := os.ReadFile("testdata/kept/" + name + ".json.zst")
			if err == nil {
				text, err = inflate(text)
			}
			if err == nil {
				err = json.Unmarshal(text, &want)
			}
			if err != nil || len(want.Lost) == 0 {
				t.Fatal(err)
			}
			for range 2 {
				holds(t, filepath.Join(dir, "data"), want.Items, want.Lost)
			}
			place, err := backup.Open(t.Context(), filepath.Join(dir, "place"))
			if err != nil {
				t.Fatal(err)
			}
			for to, lost := range map[time.Time][]string{{}: want.Lost, want.Whole: nil} {
				into := filepath.Join(t.TempDir(), "restored")
				r, err := chain.Restore(t.Context(), place, to, into, backup.Options{})
				if err != nil || r.Segments == 0 {
					t.Fatalf("%+v, %v", r, err)
				}
				items := map[string]string{}
				for id, text := range want.Items {
					if to.IsZero() || !slices.Contains(want.Late, id) {
						items[id] = text
					}
				}
				holds(t, into, items, lost)
			}
		})
	}
}

// holds checks that a folder holds some items and no others, and answers lost ones with an error.
func holds(t *testing.T, dir string, items map[string]string, lost []string) {
	t.Helper()
	srv, err := millstream.Open(millstream.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	db := dynamodb.NewFromConfig(srv.Config(), func(o *dynamodb.Options) { o.RetryMaxAttempts = 1 })
	for id, text := range items {
		got, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("kept"), Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: id}}})
		is := slices.Contains(lost, id)
		if is != (err != nil && strings.Contains(err.Error(), "InternalServerError")) || !is && err != nil {
			t.Errorf("%s, which is lost: %v: %v", id, is, err)
		} else if err == nil {
			if s, _ := got.Item["text"].(*types.AttributeValueMemberS); s == nil || s.Value != text {
				t.Errorf("%s is %v", id, got.Item)
			}
		}
	}
	all, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String("kept")})
	if lost != nil && err == nil {
		t.Error("a scan passes over what is lost")
	}
	if lost == nil && (err != nil || len(all.Items) != len(items)) {
		t.Errorf("a scan finds something else than %d items: %v", len(items), err)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
}
