package keep

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
)

// faulty is a disk that writes no files of backups while fault says why.
type faultyBackups struct {
	vfs.FS
	fault atomic.Pointer[error] // nil: none
	tries atomic.Int64
}

func (f *faultyBackups) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.Contains(name, store.BackupsPath) {
		f.tries.Add(1)
		if err := f.fault.Load(); err != nil {
			return nil, *err
		}
	}
	return f.FS.Create(name, c)
}

const createTab = `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}`

// recovering makes a table with point-in-time recovery that has n items.
func (w *world) recovering(n int) {
	w.t.Helper()
	ctx := w.t.Context()
	_, err := w.db.CreateTable(ctx, scope, decoded(w, request.DecodeCreateTable, createTab))
	if err == nil {
		err = w.recover(true)
	}
	for i := range n {
		if err == nil {
			_, err = w.db.PutItem(ctx, scope, decoded(w, request.DecodePutItem, fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"}}}`, i)))
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) recover(on bool) error {
	_, err := w.db.UpdateContinuousBackups(w.t.Context(), scope, decoded(w, request.DecodeUpdateContinuousBackups,
		fmt.Sprintf(`{"TableName":"tab","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":%v}}`, on)))
	return err
}

// deletes deletes the table, and returns the backup that is made of it.
func (w *world) deletes() *Backup {
	w.t.Helper()
	if _, err := w.db.DeleteTable(w.t.Context(), scope, decoded(w, request.DecodeDeleteTable, `{"TableName":"tab"}`)); err != nil {
		w.t.Fatal(err)
	}
	list := values(w.s, w.s.backups, func(b *Backup) bool { return b.ExpiresMS != 0 })
	if len(list) != 1 {
		w.t.Fatalf("%d backups", len(list))
	}
	return list[0]
}

func (w *world) items() (n int) {
	w.t.Helper()
	if err := w.store.Each([]byte{store.SpaceItem}, func(_, _ []byte) error { n++; return nil }); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) deleteBackup(b *Backup) error {
	_, err := w.s.DeleteBackup(w.t.Context(), scope, decoded(w, request.DecodeDeleteBackup, `{"BackupArn":"`+b.ARN+`"}`))
	return err
}

// TestBackupOfADeletedTableIsTriedAgain: it is all that there is of the table. No error costs it; younger work does not wait for it; it is
// told of, and can be given up.
func TestBackupOfADeletedTableIsTriedAgain(t *testing.T) {
	for _, giveUp := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, disk: vfs.NewMem()}
			disk := &faultyBackups{FS: w.disk}
			w.fs = disk
			w.free(empty)
			w.openAgain()
			defer w.close()
			w.recovering(10)
			b := w.deletes()
			if err := w.deleteBackup(b); err == nil || !strings.Contains(err.Error(), "not allowed to delete the system backup") {
				t.Error(err)
			}
			fault := errors.New("input/output error")
			disk.fault.Store(&fault)
			w.put = func(string) error { return nil }
			stop := w.run(w.s.RunSaves)
			time.Sleep(time.Hour)
			is := get(w.s, w.s.backups, b.ARN)
			if is.Status != Creating || w.items() != 10 || disk.tries.Load() < 5 || disk.tries.Load() > 30 {
				t.Errorf("%+v, %d items, %d tries", is, w.items(), disk.tries.Load())
			}
			if told := strings.Count(w.log.String(), "input/output error"); told == 0 || int64(told) > disk.tries.Load() {
				t.Errorf("told %d times", told)
			}
			if why := strings.Join(w.s.Setbacks(), "; "); !strings.Contains(why, "the deleted table tab") || !strings.Contains(why, "input/output error") {
				t.Error(why)
			}
			w.db.CreateTable(t.Context(), scope, decoded(w, request.DecodeCreateTable, createTab))
			e, err := w.s.ExportTableToPointInTime(t.Context(), scope, decoded(w, request.DecodeExportTableToPointInTime, `{"TableArn":"`+scope.TableARN("tab")+`","S3Bucket":"bucket"}`))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if e = get(w.s, w.s.exports, e.ARN); e.Status != Completed {
				t.Errorf("younger work: %+v", e)
			}
			if giveUp {
				if err := w.deleteBackup(b); err != nil || w.items() != 0 || get(w.s, w.s.backups, b.ARN) != nil {
					t.Errorf("%v, %d items", err, w.items())
				}
			} else {
				disk.fault.Store(nil)
				time.Sleep(longestSetback + time.Minute)
				if is := get(w.s, w.s.backups, b.ARN); is.Status != Available || is.Saved.Items != 10 || w.items() != 0 {
					t.Errorf("%+v, %d items", is, w.items())
				}
			}
			if why := w.s.Setbacks(); len(why) > 0 {
				t.Error(why)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBackupOfADeletedTableLeavesTheReserve: its files are no deletes. What lets go of room is possible when the reserve of deletes is used up.
func TestBackupOfADeletedTableLeavesTheReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, disk: vfs.NewMem()}
		disk := &faultyBackups{FS: w.disk}
		w.fs = disk
		w.free(empty)
		w.openAgain()
		defer w.close()
		w.recovering(10)
		w.free(full)
		b := w.deletes()
		stop := w.run(w.s.RunSaves)
		time.Sleep(time.Minute)
		if disk.tries.Load() != 0 || w.items() != 10 {
			t.Errorf("%d files on a full disk, %d items", disk.tries.Load(), w.items())
		}
		const spent = 600 << 10 // the reserve of deletes is gone
		w.free(spent)
		if err := w.deleteBackup(b); err != nil || w.items() != 0 {
			t.Errorf("%v, %d items", err, w.items())
		}
		w.free(empty)
		time.Sleep(time.Minute)
		w.recovering(1)
		w.free(spent)
		if err := w.recover(true); err == nil {
			t.Error("a full disk takes writes")
		}
		if err := w.recover(false); err != nil {
			t.Error(err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestFilesOfABackupGoWhenTheDiskIsFull: else they would fill the disk until the next try.
func TestFilesOfABackupGoWhenTheDiskIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, disk: vfs.NewMem()}
		disk := &faultyBackups{FS: w.disk}
		w.fs = disk
		w.free(empty)
		w.openAgain()
		defer w.close()
		w.recovering(10)
		b := w.deletes()
		if err := w.store.Files(store.BackupsPath, b.ID).Put("part", []byte("written before")); err != nil {
			t.Fatal(err)
		}
		fault := fmt.Errorf("%w: here", store.ErrDiskFull)
		disk.fault.Store(&fault)
		stop := w.run(w.s.RunSaves)
		time.Sleep(time.Minute)
		if names, err := w.store.Files(store.BackupsPath, b.ID).Names(); err != nil || len(names) > 0 {
			t.Errorf("%q, %v", names, err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestExportOfAMomentTellsItsSize, and not today's.
func TestExportOfAMomentTellsItsSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.recovering(10)
		w.put = func(string) error { return nil }
		sizes := []int64{}
		stop := w.run(w.s.RunSaves)
		time.Sleep(time.Second)
		at := time.Now()
		for _, when := range []string{"", fmt.Sprintf(`,"ExportTime":%.3f`, float64(at.UnixMilli())/1000)} {
			e, err := w.s.ExportTableToPointInTime(t.Context(), scope, decoded(w, request.DecodeExportTableToPointInTime, `{"TableArn":"`+scope.TableARN("tab")+`","S3Bucket":"bucket"`+when+`}`))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			e = get(w.s, w.s.exports, e.ARN)
			sizes = append(sizes, e.Items, e.Bytes)
			if _, err := w.db.PutItem(t.Context(), scope, decoded(w, request.DecodePutItem, `{"TableName":"tab","Item":{"pk":{"S":"later"}}}`)); err != nil {
				t.Fatal(err)
			}
		}
		if err := stop(); err != nil || sizes[0] != 10 || sizes[0] != sizes[2] || sizes[1] != sizes[3] {
			t.Errorf("%v, %d", err, sizes)
		}
	})
}

// TestExportThatDoesNotFitFails: in the end, and says why.
func TestExportThatDoesNotFitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.recovering(1)
		began := 0
		w.put = func(key string) error {
			if strings.HasSuffix(key, "_started") {
				began++
			}
			return store.ErrDiskFull
		}
		e, err := w.s.ExportTableToPointInTime(t.Context(), scope, decoded(w, request.DecodeExportTableToPointInTime, `{"TableArn":"`+scope.TableARN("tab")+`","S3Bucket":"bucket"}`))
		if err != nil {
			t.Fatal(err)
		}
		stop := w.run(w.s.RunSaves)
		time.Sleep(time.Hour)
		if e = get(w.s, w.s.exports, e.ARN); e.Status != Failed || began != maxFills || !strings.Contains(e.FailureMessage, "no room for the export") {
			t.Errorf("%d tries, %+v", began, e)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
