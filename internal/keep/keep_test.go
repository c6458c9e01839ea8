package keep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
)

var scope = schema.Scope{Account: "000000000000", Region: "us-east-1"}

// world is a service on a disk in memory, with buckets that a test makes up.
type world struct {
	t     *testing.T
	disk  *vfs.MemFS
	fs    vfs.FS // of the store
	with  store.Durability
	store *store.Store
	db    *table.DB
	s     *Service
	// open opens every object; keys lists them.
	open func(key string) io.ReadCloser
	keys []string
	put  func(key string) error
	// owner is why the bucket is none of the account's; nil: it is.
	owner error
	// objects keeps what is put, unless nil.
	objects map[string][]byte
	log     bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, disk: vfs.NewMem()}
	w.fs = w.disk
	w.free(1 << 40)
	w.openAgain()
	return w
}

func (w *world) openAgain() {
	w.t.Helper()
	var err error
	if w.store, err = store.Open(store.Options{FS: w.fs, Dir: "data", DiskReserve: 1 << 20, Durability: w.with}); err != nil {
		w.t.Fatal(err)
	}
	streams, err := stream.Open(w.store, time.Now)
	if err == nil {
		w.db, err = table.Open(table.Options{Store: w.store, Streams: streams})
	}
	if err == nil {
		w.s, err = Open(Options{Store: w.store, Tables: w.db, Buckets: (*fakeBuckets)(w), Now: time.Now, Logger: slog.New(slog.NewTextHandler(&w.log, nil))})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) close() {
	w.t.Helper()
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
}

// free says what is free on the disk, which the store has seen when this returns.
func (w *world) free(n uint64) {
	w.disk.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: n, TotalBytes: 1 << 40})
	time.Sleep(2 * time.Second) // in the bubble's time: the store looks once a second
}

// run runs a worker until stop, which returns what it ended with.
func (w *world) run(worker func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- worker(ctx) }()
	return func() error {
		cancel()
		return <-ended
	}
}

func decoded[R any](w *world, decode func([]byte) (R, error), body string) R {
	w.t.Helper()
	r, err := decode([]byte(body))
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

type fakeBuckets world

func (f *fakeBuckets) Exists(string, string) (bool, error) { return f.owner == nil, f.owner }
func (f *fakeBuckets) Put(_, key string, content []byte) error {
	if f.objects != nil {
		f.objects[key] = bytes.Clone(content)
		return nil
	}
	return f.put(key)
}
func (f *fakeBuckets) Open(_, key string) (io.ReadCloser, error) { return f.open(key), nil }
func (f *fakeBuckets) Keys(_, prefix string) ([]string, error)   { return f.keys, nil }

// parts is an object that comes bit by bit.
type parts []func() ([]byte, error)

func (p *parts) Read(b []byte) (int, error) {
	if len(*p) == 0 {
		return 0, io.EOF
	}
	next := (*p)[0]
	*p = (*p)[1:]
	text, err := next()
	return copy(b, text), err
}

func line(i int) []byte { return fmt.Appendf(nil, `{"Item":{"pk":{"S":"%d"}}}`+"\n", i) }

const importBody = `{"ClientToken":"token","S3BucketSource":{"S3Bucket":"bucket"},"InputFormat":"DYNAMODB_JSON","TableCreationParameters":{"TableName":"tab","BillingMode":"PAY_PER_REQUEST",
	"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}}`

func (w *world) imports() *Import {
	w.t.Helper()
	i, err := w.s.ImportTable(w.t.Context(), scope, decoded(w, request.DecodeImportTable, importBody))
	if err != nil {
		w.t.Fatal(err)
	}
	return i
}

func (w *world) now(i *Import) *Import { return get(w.s, w.s.imports, i.ARN) }

const full, dire, empty = 800 << 10, 100 << 10, 1 << 40 // of a reserve of 1 MB

// A full disk, even one on which nothing may be deleted any more, ends no worker: an import waits, and goes on when there is room.
func TestImportWaitsForRoom(t *testing.T) {
	for _, free := range []uint64{full, dire} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.close()
			rounds := 0
			w.keys = []string{"object"}
			w.open = func(string) io.ReadCloser {
				rounds++
				return io.NopCloser(&parts{
					func() ([]byte, error) { return line(1), nil },
					func() ([]byte, error) {
						if rounds == 1 {
							w.free(free)
						}
						return line(2), nil
					},
				})
			}
			i := w.imports()
			stop := w.run(w.s.RunLoads)
			time.Sleep(time.Minute)
			if is := w.now(i); rounds != 1 || is.Status != InProgress {
				t.Errorf("with %d free: %d rounds, %+v", free, rounds, is)
			}
			w.free(empty)
			time.Sleep(time.Minute)
			if is := w.now(i); is.Status != Completed || is.Imported != 2 {
				t.Errorf("with %d free: %+v", free, is)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What does not fit on the disk fails in the end, and says why: otherwise it would fill the disk for ever.
func TestImportThatDoesNotFitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		rounds := 0
		w.keys = []string{"object"}
		w.open = func(string) io.ReadCloser {
			rounds++
			return io.NopCloser(&parts{func() ([]byte, error) {
				w.free(full)
				time.AfterFunc(10*time.Second, func() { w.free(empty) }) // the table was emptied
				return line(1), nil
			}})
		}
		i := w.imports()
		stop := w.run(w.s.RunLoads)
		time.Sleep(5 * time.Minute)
		if is := w.now(i); rounds != maxFills || is.Status != Failed || !strings.Contains(is.FailureMessage, "the disk has no room") || is.Imported != 0 {
			t.Errorf("%d rounds, %+v", rounds, is)
		}
		if there, err := w.db.Exists(t.Context(), scope, "tab"); there || err != nil {
			t.Errorf("%v, %v", there, err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestImportOfNothing: as measured on AWS, an import of a bucket without an object is COMPLETED, and its table is empty. The log says so.
func TestImportOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		i := w.imports()
		stop := w.run(w.s.RunLoads)
		time.Sleep(time.Minute)
		is := w.now(i)
		d, err := w.db.DescribeTable(t.Context(), scope, decoded(w, request.DecodeDescribeTable, `{"TableName":"tab"}`))
		if err != nil || d.Status != "ACTIVE" || is.Status != Completed || is.Imported != 0 || is.Errors != 0 || is.Bytes != 0 {
			t.Errorf("%+v, %+v, %v", is, d, err)
		}
		if !strings.Contains(w.log.String(), "found no object") {
			t.Errorf("the log does not say so: %s", w.log.String())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A worker ends when it is told to, whatever an import reads.
func TestImportEndsAtItsMiddle(t *testing.T) {
	for name, text := range map[string]string{"blank": "\n\n\n\n", "faulty": `{"Item":{"other":{"S":"x"}}}` + "\n"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer w.close()
			w.keys = []string{"object"}
			w.open = func(string) io.ReadCloser { return endless(text) }
			i := w.imports()
			stop := w.run(w.s.RunLoads)
			time.Sleep(time.Minute)
			if err := stop(); err != nil || w.now(i).Status != InProgress {
				t.Errorf("%s: %v, %+v", name, err, w.now(i))
			}
		})
	}
}

// endless is an object that has no end.
type endless string

func (e endless) Close() error { return nil }

func (e endless) Read(b []byte) (int, error) {
	time.Sleep(time.Second)
	return copy(b, e), nil
}

// longAsText is an item of some 120 KB, of numbers that are written with 126 digits: some 5 MB.
func longAsText() string {
	return `{"pk":{"S":"1"},"list":{"L":[` + strings.Repeat(`{"N":"1E125"},`, 40_000) + `{"N":"1"}]}}`
}

// What was backed up can be restored, also when the item is longer as text than any request may be; and what someone else keeps
// beside the backups stays there.
func TestBackupOfAnItemThatIsLongAsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		ctx := t.Context()
		_, err := w.db.CreateTable(ctx, scope, decoded(w, request.DecodeCreateTable,
			`{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}]}`))
		if err == nil {
			_, err = w.db.PutItem(ctx, scope, decoded(w, request.DecodePutItem, `{"TableName":"tab","Item":`+longAsText()+`}`))
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := w.s.CreateBackup(ctx, scope, decoded(w, request.DecodeCreateBackup, `{"TableName":"tab","BackupName":"first"}`))
		if err != nil {
			t.Fatal(err)
		}
		stop := w.run(w.s.RunSaves)
		time.Sleep(time.Minute)
		if err := stop(); err != nil || get(w.s, w.s.backups, b.ARN).Status != Available {
			t.Fatalf("%v, %+v", err, get(w.s, w.s.backups, b.ARN))
		}
		others := []string{"someone", "MANIFEST-1"}
		for _, name := range append(others, newID(time.Now())) {
			if err := w.store.Files(store.BackupsPath, name).Put("file", []byte("kept")); err != nil {
				t.Fatal(err)
			}
		}
		w.close()
		w.openAgain()
		names, err := w.store.Files(store.BackupsPath).Names()
		slices.Sort(names)
		if want := []string{b.ID, "MANIFEST-1", "someone"}; err != nil || !slices.Equal(names, want) {
			t.Errorf("%q, want %q, %v", names, want, err)
		}

		if _, err = w.s.RestoreTableFromBackup(ctx, scope, decoded(w, request.DecodeRestoreTableFromBackup, `{"BackupArn":"`+b.ARN+`","TargetTableName":"copy"}`)); err != nil {
			t.Fatal(err)
		}
		stop = w.run(w.s.RunLoads)
		time.Sleep(time.Minute)
		d, err := w.db.DescribeTable(ctx, scope, decoded(w, request.DecodeDescribeTable, `{"TableName":"copy"}`))
		if err != nil || d.ItemCount != 1 || d.Status != "ACTIVE" {
			t.Errorf("%+v, %v: %s", d, err, w.log.String())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// stuck is a disk on which backups cannot be removed.
type stuck struct{ vfs.FS }

func (s stuck) RemoveAll(name string) error {
	if strings.Contains(name, store.BackupsPath) {
		return errors.New("this cannot be removed")
	}
	return s.FS.RemoveAll(name)
}

// Files that cannot be removed keep no server from starting, and are told of.
func TestFilesThatCannotBeRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		if err := w.store.Files(store.BackupsPath, newID(time.Now())).Put("file", []byte("left")); err != nil {
			t.Fatal(err)
		}
		w.close()
		w.fs = stuck{w.disk}
		w.openAgain()
		if !strings.Contains(w.log.String(), "this cannot be removed") {
			t.Error(w.log.String())
		}
	})
}

// Rows of what has ended are bounded, in number and age.
func TestEndedRowsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		now := time.Now().UnixMilli()
		for n := range maxEnded + 5 {
			i := &Import{ARN: fmt.Sprintf("arn-%05d", n), Scope: scope, Status: Completed, EndMS: now + int64(n)}
			show(w.s, w.s.imports, i.ARN, i)
		}
		for arn, b := range map[string]*Backup{"old": {Status: Deleted}, "new": {Status: Deleted, CreatedMS: now}, "kept": {Status: Available}} {
			b.ARN = arn
			show(w.s, w.s.backups, arn, b)
		}
		// A clock that is ahead, and not believed, has nothing forgotten by age.
		w.s.Now, w.s.Believed = func() time.Time { return time.Now().Add(2 * keepFor) }, func() int64 { return 0 }
		if err := w.s.forget(); err != nil {
			t.Fatal(err)
		}
		if len(w.s.imports) != maxEnded || len(w.s.backups) != 3 {
			t.Errorf("by a clock that is not believed: %d imports, %v", len(w.s.imports), w.s.backups)
		}
		w.s.Believed = func() int64 { return now }
		if err := w.s.forget(); err != nil {
			t.Fatal(err)
		}
		if len(w.s.imports) != maxEnded || w.s.imports["arn-00004"] != nil || len(w.s.backups) != 2 || w.s.backups["old"] != nil {
			t.Errorf("%d imports, %v", len(w.s.imports), w.s.backups)
		}
	})
}

// Of what is made in one millisecond the later has the later id: lists have the order in which things were made.
func TestIDsRise(t *testing.T) {
	s := &Service{}
	now := time.UnixMilli(1_800_000_000_000)
	last := ""
	for i := range 1000 {
		id := s.nextID(now.Add(time.Duration(i/100) * time.Millisecond))
		if id <= last || !IsID(id) {
			t.Fatalf("%s after %s", id, last)
		}
		last = id
	}
	if back := s.nextID(now.Add(-time.Hour)); back >= last {
		t.Errorf("%s: a clock that was set right is followed", back)
	}
}

// TestCrashOfABackupThatWasMade: with commits that are not synced, what a backup is made of goes only once the row that says that it
// is made is durable. Else a crash would bring back the row that says it is to be made, with nothing to make it of, and it would be removed.
func TestCrashOfABackupThatWasMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, disk: vfs.NewCrashableMem(), with: store.NoSync}
		w.fs = w.disk
		w.free(1 << 40)
		w.openAgain()
		create := decoded(w, request.DecodeCreateTable, `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"k","AttributeType":"S"}],
			"KeySchema":[{"AttributeName":"k","KeyType":"HASH"}]}`)
		if _, err := w.db.CreateTable(t.Context(), scope, create); err != nil {
			t.Fatal(err)
		}
		b, err := w.s.CreateBackup(t.Context(), scope, decoded(w, request.DecodeCreateBackup, `{"TableName":"tab","BackupName":"first"}`))
		if err == nil {
			err = w.store.Flush() // the row that says that it is to be made is durable
		}
		if err != nil {
			t.Fatal(err)
		}
		save := func() *Backup {
			stop := w.run(w.s.RunSaves)
			time.Sleep(time.Minute)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			return get(w.s, w.s.backups, b.ARN)
		}
		if b := save(); b.Status != Available {
			t.Fatalf("%+v", b)
		}
		frozen, err := w.disk.OpenDir("data/frozen") // the system may write folders back at any time
		if err == nil {
			err = errors.Join(frozen.Sync(), frozen.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		crashed := w.disk.CrashClone(vfs.CrashCloneCfg{})
		w.close()
		w.disk, w.fs = crashed, crashed
		w.free(1 << 40)
		w.openAgain()
		defer w.close()
		if b := save(); b == nil || b.Status != Available {
			t.Errorf("after the crash: %+v, %s", b, w.log.String())
		}
	})
}

// TestLossOfARow: after a loss that was accepted, a backup whose row was lost is set aside whole, and not removed.
func TestLossOfARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id := newID(time.Now())
		if err := w.store.Files(store.BackupsPath, id).Put("file", []byte("kept")); err != nil {
			t.Fatal(err)
		}
		w.close()
		loss, err := w.disk.Create("data/LOSS", vfs.WriteCategoryUnspecified) // as --accept-loss leaves it
		if err == nil {
			err = loss.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		w.openAgain()
		defer w.close()
		if kept, err := w.disk.Open("data/damaged/backups/" + id + "/file"); err != nil {
			t.Error(err)
		} else if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
}
