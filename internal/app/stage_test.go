package app

import (
	"context"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// TestBackupsOfTablesInACopy: a copy of the folder has all that its rows name of backups of tables, also when one is made, and
// another removed, while the folder is copied.
func TestBackupsOfTablesInACopy(t *testing.T) {
	k := openKeeping(t, t.TempDir())
	ctx := t.Context()
	k.orders("orders", 40)
	var first, made string
	removed := make(chan error, 1)
	k.s.stages.copy = func(ctx context.Context, dir string) error {
		first = k.backup("orders", "first")
		k.available(first)
		made = k.backup("orders", "second")
		err := k.s.store.Stage(ctx, dir)
		go func() {
			_, err := k.db.DeleteBackup(t.Context(), &dynamodb.DeleteBackupInput{BackupArn: &first})
			removed <- err
		}()
		for range 100 { // what the copy needs may go away now, and must not
			time.Sleep(time.Millisecond)
			frozen, _ := filepath.Glob(filepath.Join(k.dir, "frozen", "*"))
			backups, _ := filepath.Glob(filepath.Join(k.dir, "backups", "*"))
			if len(frozen) == 0 || len(backups) < 2 {
				break
			}
		}
		return err
	}
	st, err := k.s.stages.Stage(httptest.NewRequest("POST", "/", nil))
	k.must(err)
	k.must(<-removed)
	dir := k.s.stages.dir(st.ID)
	k.close()
	*k = *openKeeping(t, dir)
	defer func() { k.close() }()
	for i, arn := range []string{first, made} {
		if d := k.available(arn); d.BackupDetails.BackupStatus != ddb.BackupStatusAvailable {
			t.Fatalf("backup %d of the copy: %+v", i, d.BackupDetails)
		}
		name := "copy-" + string(rune('a'+i))
		_, err := k.db.RestoreTableFromBackup(ctx, &dynamodb.RestoreTableFromBackupInput{BackupArn: &arn, TargetTableName: &name})
		k.must(err)
		if d := k.active(name); *d.ItemCount != 40 {
			t.Errorf("backup %d of the copy: %d items", i, *d.ItemCount)
		}
	}
}
