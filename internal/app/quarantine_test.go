package app

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/millstreamdb/millstream/internal/backup"
)

// TestQuarantineIsRestored: a backup of a folder with a range in quarantine is restored with it: its keys are answered with an error, never as absent.
func TestQuarantineIsRestored(t *testing.T) {
	k := openKeeping(t, filepath.Join(t.TempDir(), "data"))
	ctx := t.Context()
	k.orders("orders", 3)
	k.orders("others", 3)
	id := k.idOf("orders")
	k.close()
	from := binary.BigEndian.AppendUint64([]byte{3}, id)
	k.must(os.WriteFile(filepath.Join(k.dir, "QUARANTINE"), fmt.Appendf(nil, `{"version":1,"ranges":[{"from":"%x","to":"%xff","file":"db/1.sst","copy":"quarantined/1","since":"2026-01-01T00:00:00Z","removed":true}]}`, from, from), 0o600))
	*k = *openKeeping(t, k.dir)
	staged := filepath.Join(t.TempDir(), "staged")
	k.must(k.s.store.Stage(ctx, staged))
	k.close()
	place, err := backup.Open(ctx, filepath.Join(t.TempDir(), "place"))
	k.must(err)
	m, _, err := backup.Take(ctx, backup.Folder(staged), place, backup.Options{})
	k.must(err)
	if !m.Quarantined {
		t.Error("the manifest does not tell")
	}
	dir := filepath.Join(t.TempDir(), "restored")
	k.must(backup.Restore(ctx, place, m, dir, backup.Options{}))
	k = openKeeping(t, dir)
	defer k.close()
	k.wantMetric("millstream_quarantined_ranges", 1, 1)
	for _, pk := range []string{"p0", "is not there"} {
		_, err = k.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("orders"), Key: map[string]ddb.AttributeValue{"pk": &ddb.AttributeValueMemberS{Value: pk}, "sk": &ddb.AttributeValueMemberN{Value: "0"}}})
		k.wants(err, "InternalServerError", "")
	}
	if n := len(k.items("others", "")); n != 3 {
		t.Errorf("the other table has %d items", n)
	}
}
