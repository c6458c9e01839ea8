package keep

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/export"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/store"
)

// damage flips a byte of the largest table of the engine, at a part of its length.
func (w *world) damage(part int) { w.damageIn("data/db", part) }

func (w *world) damageIn(dir string, part int) {
	w.t.Helper()
	names, err := w.disk.List(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	largest, name := []byte(nil), ""
	for _, n := range names {
		if !strings.HasSuffix(n, ".sst") {
			continue
		}
		file, err := w.disk.Open(dir + "/" + n)
		if err != nil {
			w.t.Fatal(err)
		}
		text, err := io.ReadAll(file)
		if err = errors.Join(err, file.Close()); err != nil {
			w.t.Fatal(err)
		}
		if len(text) > len(largest) {
			largest, name = text, n
		}
	}
	largest[len(largest)/part] ^= 1
	file, err := w.disk.Create(dir+"/"+name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = file.Write(largest)
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestBackupOfADeletedTableWithDamage: it is made of what is left, and says what is not. A restore has the rest, and of what was lost no key is absent.
func TestBackupOfADeletedTableWithDamage(t *testing.T) {
	for _, part := range []int{2, 3, 5} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			const n = 400
			w.recovering(0)
			r := rand.New(rand.NewPCG(uint64(part), 1))
			for i := range n {
				text := make([]byte, 300)
				for j := range text {
					text[j] = 'a' + byte(r.IntN(26))
				}
				if _, err := w.db.PutItem(t.Context(), scope, decoded(w, request.DecodePutItem, fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"},"text":{"S":%q}}}`, i, text))); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.store.Flush(); err != nil {
				t.Fatal(err)
			}
			w.close()
			w.damage(part)
			w.openAgain()
			defer w.close()
			b := w.deletes()
			stop := w.run(w.s.RunSaves)
			time.Sleep(time.Hour)
			is := get(w.s, w.s.backups, b.ARN)
			if is.Status != Available || len(is.Lost) == 0 || is.Saved.Items == 0 || is.Saved.Items >= n || len(w.s.Setbacks()) > 0 {
				t.Fatalf("%+v, %d items, %v\n%s", is, is.Saved.Items, w.s.Setbacks(), w.log.String())
			}
			if !strings.Contains(w.log.String(), "lacks a range of its items") {
				t.Error(w.log.String())
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if _, err := w.s.RestoreTableFromBackup(t.Context(), scope, decoded(w, request.DecodeRestoreTableFromBackup, `{"TargetTableName":"again","BackupArn":"`+b.ARN+`"}`)); err != nil {
				t.Fatal(err)
			}
			stop = w.run(w.s.RunLoads)
			time.Sleep(time.Minute)
			there, lost := 0, 0
			for i := range n {
				it, err := w.db.GetItem(t.Context(), scope, decoded(w, request.DecodeGetItem, fmt.Sprintf(`{"TableName":"again","ConsistentRead":true,"Key":{"pk":{"S":"%d"}}}`, i)))
				switch {
				case errors.Is(err, store.ErrDamaged):
					lost++
				case err != nil:
					t.Fatal(err)
				case it.Item == nil:
					t.Errorf("%d is absent", i)
				default:
					there++
				}
			}
			if int64(there) != is.Saved.Items || there+lost != n {
				t.Errorf("%d there, %d lost, %d in the backup", there, lost, is.Saved.Items)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
			if _, faults, err := Check(t.Context(), w.store); err != nil || len(faults) == 0 || !strings.Contains(faults[0], "lost to damage") {
				t.Errorf("%q, %v", faults, err)
			}
			listed := len(w.store.Quarantine())
			if _, err := w.db.DeleteTable(t.Context(), scope, decoded(w, request.DecodeDeleteTable, `{"TableName":"again"}`)); err != nil {
				t.Fatal(err)
			}
			if left := len(w.store.Quarantine()); left != listed-len(is.Lost) {
				t.Errorf("of %d ranges %d stay listed when their table is gone, which had %d", listed, left, len(is.Lost))
			}
		})
	}
}

// TestBackupThatDoesNotFitFails: in the end, and says why.
func TestBackupThatDoesNotFitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, disk: vfs.NewMem()}
		disk := &faultyBackups{FS: w.disk}
		w.fs = disk
		w.free(empty)
		w.openAgain()
		defer w.close()
		w.recovering(1)
		fault := fmt.Errorf("%w: here", store.ErrDiskFull)
		disk.fault.Store(&fault)
		b, err := w.s.CreateBackup(t.Context(), scope, decoded(w, request.DecodeCreateBackup, `{"TableName":"tab","BackupName":"name"}`))
		if err != nil {
			t.Fatal(err)
		}
		stop := w.run(w.s.RunSaves)
		time.Sleep(time.Hour)
		if is := get(w.s, w.s.backups, b.ARN); is.Status != Deleted || !strings.Contains(is.Failure, "no room for the backup") || disk.tries.Load() != maxFills {
			t.Errorf("%+v, %d tries", is, disk.tries.Load())
		}
		if !strings.Contains(w.log.String(), "a backup failed, and is not there") || len(w.s.Setbacks()) > 0 {
			t.Errorf("%v\n%s", w.s.Setbacks(), w.log.String())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestBucketThatChangesHands: an export writes nothing more into a bucket that has become another account's, and an import reads nothing more.
func TestBucketThatChangesHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		w.recovering(1)
		puts, opened := 0, 0
		w.put = func(string) error {
			puts++
			w.owner = fs.ErrPermission
			return nil
		}
		e, err := w.s.ExportTableToPointInTime(t.Context(), scope, decoded(w, request.DecodeExportTableToPointInTime, `{"TableArn":"`+scope.TableARN("tab")+`","S3Bucket":"bucket"}`))
		if err != nil {
			t.Fatal(err)
		}
		stop := w.run(w.s.RunSaves)
		time.Sleep(time.Minute)
		if e = get(w.s, w.s.exports, e.ARN); e.Status != Failed || e.FailureCode != bucketDenied || puts != 1 {
			t.Errorf("%+v, %d puts", e, puts)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.owner = nil
		w.keys = []string{"a", "b"}
		w.open = func(string) io.ReadCloser {
			opened++
			w.owner = fs.ErrPermission
			return io.NopCloser(&parts{func() ([]byte, error) { return line(opened), nil }})
		}
		if _, err := w.db.DeleteTable(t.Context(), scope, decoded(w, request.DecodeDeleteTable, `{"TableName":"tab"}`)); err != nil {
			t.Fatal(err)
		}
		i := w.imports()
		stop = w.run(w.s.RunLoads)
		time.Sleep(time.Minute)
		if is := w.now(i); is.Status != Failed || is.FailureCode != bucketDenied || is.Imported != 0 || opened != 1 {
			t.Errorf("%+v, %d opened", is, opened)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestExportThatMeetsDamage: an export of what cannot be read whole fails with AWS's code for a fault of the server, and a message that says what was met and what to do.
func TestExportThatMeetsDamage(t *testing.T) {
	const code = "InternalServerError"
	for name, c := range map[string]struct {
		more  string // of the request; %d: a moment, in s
		do    func(w *world, e *Export)
		wants []string
	}{
		"a block": {"", func(w *world, e *Export) { w.damageIn("data/frozen/"+frozenName(e.ID), 3) },
			[]string{"tab could not be read whole", ".sst", "begin the export again", "if that fails, too, `millstream check` says what is damaged"}},
		"a block, and a moment": {`,"ExportTime":%d`, func(w *world, e *Export) { w.damageIn("data/frozen/"+frozenName(e.ID), 3) },
			[]string{"tab could not be read whole", ".sst", "begin the export again"}},
		"a row that cannot be read": {`,"ExportTime":%d`, nil, []string{"tab could not be read whole", "a row of the recovery log is damaged", "which moments can be restored: export another one"}},
		"a row of the recovery log": {`,"ExportTime":%d`, nil, []string{"tab could not be read whole", "does not fit the item", "millstream check", "which moments can be restored: export another one"}},
		"one of a stretch of time": {`,"ExportType":"INCREMENTAL_EXPORT","IncrementalExportSpecification":{"ExportFromTime":%d}`, nil,
			[]string{"tab could not be read whole", "does not fit the item", "which moments can be restored"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				defer w.close()
				w.recovering(0)
				text, at := strings.Repeat("words ", 50), time.Time{}
				for round := range 3 {
					for i := range 100 {
						if _, err := w.db.PutItem(t.Context(), scope, decoded(w, request.DecodePutItem, fmt.Sprintf(`{"TableName":"tab","Item":{"pk":{"S":"%d"},"text":{"S":%q},"z":{"N":"%d"}}}`, i, text, round))); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(time.Minute)
					if round == 0 {
						at = time.Now()
					}
				}
				time.Sleep(20 * time.Minute)
				more := c.more
				if more != "" {
					more = fmt.Sprintf(more, at.Unix())
				}
				if more != "" && c.do == nil {
					changed := w.store.NewBatch()
					err := w.store.Each([]byte{store.SpaceUndo}, func(key, value []byte) error {
						value = bytes.Clone(value)
						difference := value[0] == 2
						if name == "a row that cannot be read" {
							value[0] = 99
						} else {
							value[len(value)-1] ^= 1 // of the sum
						}
						if difference {
							changed.Set(key, value)
						}
						return nil
					})
					if err = errors.Join(err, w.store.Write(changed)); err != nil {
						t.Fatal(err)
					}
					changed.Close()
				}
				w.objects = map[string][]byte{}
				e, err := w.s.ExportTableToPointInTime(t.Context(), scope, decoded(w, request.DecodeExportTableToPointInTime, fmt.Sprintf(`{"TableArn":%q,"S3Bucket":"bucket"%s}`, scope.TableARN("tab"), more)))
				if err != nil {
					t.Fatal(err)
				}
				if c.do != nil {
					c.do(w, e)
				}
				stop := w.run(w.s.RunSaves)
				time.Sleep(time.Minute)
				e = get(w.s, w.s.exports, e.ARN)
				if e.Status != Failed || e.FailureCode != code {
					t.Errorf("%+v", e)
				}
				for _, want := range c.wants {
					if !strings.Contains(e.FailureMessage, want) {
						t.Errorf("%q has no %q", e.FailureMessage, want)
					}
				}
				for key := range w.objects {
					if strings.HasSuffix(key, export.SummaryJSON) {
						t.Error("there is a summary")
					}
				}
				t.Log(e.FailureMessage)
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
