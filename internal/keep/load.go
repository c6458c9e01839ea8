package keep

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/millstreamdb/millstream/internal/export"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table"
)

// A piece is written at once, and so bounds the memory that filling a table takes.
const pieceItems, pieceBytes = 500, 1 << 20

// toldErrors is how many faulty items of an import are logged one by one.
const toldErrors = 100

// piece gathers items until there are enough of them. It copies them into memory that it uses again and again: else half of
// what an import takes would be garbage.
type piece struct {
	to    *table.Loader
	items []item.Item
	bytes []byte // the items are in it, or in what it was before it grew
	since int    // bytes that were written since garbage was collected
}

// Filling a table makes little garbage, and lasts: where little lives, so that it costs next to nothing, garbage is collected
// each collectEvery bytes, and not only once there are several times as much of it as of what lives.
const collectEvery, collectUpTo = 16 << 20, 32 << 20

func (p *piece) collect() {
	if p.since += len(p.bytes); p.since < collectEvery {
		return
	}
	p.since = 0
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	if metrics.Read(live); live[0].Value.Uint64() <= collectUpTo {
		runtime.GC()
	}
}

func (p *piece) add(it item.Item) error {
	at := len(p.bytes)
	p.bytes = append(p.bytes, it...)
	p.items = append(p.items, p.bytes[at:len(p.bytes):len(p.bytes)])
	if len(p.items) < pieceItems && len(p.bytes) < pieceBytes {
		return nil
	}
	return p.write()
}

func (p *piece) write() error {
	if len(p.items) == 0 {
		return nil
	}
	err := p.to.Put(p.items)
	p.collect()
	clear(p.items)
	p.items, p.bytes = p.items[:0], p.bytes[:0]
	return err
}

// loadNext does the oldest work that there is.
func (s *Service) loadNext(ctx context.Context) (more bool, err error) {
	type job struct {
		atMS int64
		arn  string
		do   func() error
	}
	var jobs []job
	for _, i := range values(s, s.imports, func(i *Import) bool { return i.Status == InProgress }) {
		jobs = append(jobs, job{i.StartMS, i.ARN, func() error { return s.loadImport(ctx, i) }})
	}
	for _, r := range values(s, s.restores, func(*restore) bool { return true }) {
		jobs = append(jobs, job{r.AtMS, r.key(), func() error { return s.loadBackup(ctx, r) }})
	}
	if len(jobs) == 0 {
		return false, nil
	}
	oldest := slices.MinFunc(jobs, func(a, b job) int { return cmp.Or(cmp.Compare(a.atMS, b.atMS), cmp.Compare(a.arn, b.arn)) })
	return true, oldest.do()
}

// maxFills is how often a table is filled until the disk is full. One that has not fitted by then never will: each time takes the
// room of all other writes too.
const maxFills = 3

// fill empties a table, of what there is from before a restart or a full disk, and fills it. A table that does not fit
// on the disk ends with errNoRoom.
func (s *Service) fill(ctx context.Context, l *table.Loader, id string, read func() error) error {
	if err := l.Clear(ctx); err != nil {
		return err
	}
	if err := s.Store.Admit(); err != nil { // the disk is full of something else: this is no try
		return err
	}
	err := read()
	if ctx.Err() != nil || !errors.Is(err, store.ErrDiskFull) {
		return err
	}
	if s.fills[id]++; s.fills[id] >= maxFills {
		return errNoRoom
	}
	return errors.Join(err, l.Clear(ctx)) // others need the room until the next try
}

var errNoRoom = fmt.Errorf("the disk has no room for the table: it was full each of the %d times that the table was filled; free some space, and begin again", maxFills)

// loadImport fills the table of an import. As on AWS an import of which some items were faulty has failed, and its table
// stays with the others; one that could not read its source leaves no table.
func (s *Service) loadImport(ctx context.Context, i *Import) error {
	l := s.Tables.Loader(i.Scope, i.Request.Create.TableName, i.TableID)
	next := *i
	end := func(finish func(context.Context, func(*store.Batch) error) error) error {
		next.Status, next.EndMS = Completed, s.Now().UnixMilli()
		if next.FailureCode != "" {
			s.Logger.Error("an import failed", "import", i.ARN, "code", next.FailureCode, "error", next.FailureMessage)
			next.Status = Failed
		}
		if err := finish(ctx, func(b *store.Batch) error { return row(b, kindImport, i.ARN, &next) }); err != nil {
			return err
		}
		show(s, s.imports, i.ARN, &next)
		delete(s.fills, i.TableID)
		return nil
	}
	if l == nil {
		return fmt.Errorf("keep: the table of %s, which is under way, is not there", i.ARN)
	}
	err := s.reaches(i.Scope.Account, i.Request.Bucket)
	if err == nil {
		err = s.fill(ctx, l, i.TableID, func() error { return s.readImport(ctx, l, &next) })
	}
	if err != nil {
		if s.passing(ctx, err) {
			return err
		}
		next.FailureCode, next.FailureMessage = failure(err)
		next.Imported, next.Errors = 0, 0
		return end(l.Discard)
	}
	if next.Errors > 0 {
		next.FailureCode = "ItemValidationError"
		next.FailureMessage = "Some of the items failed validation checks during the import. Please check CloudWatch error logs for more details."
	}
	return end(l.Done)
}

func (s *Service) readImport(ctx context.Context, l *table.Loader, i *Import) error {
	r := &i.Request
	keys, err := s.Buckets.Keys(r.Bucket, r.Prefix)
	if err != nil {
		return err
	}
	if len(keys) == 0 { // as measured on AWS: the import is COMPLETED, and the table is there and empty
		s.Logger.Warn("an import found no object, so its table is empty", "import", i.ARN, "bucket", r.Bucket, "prefix", r.Prefix)
	}
	src := export.Source{Format: r.Format, Compression: r.Compression, Delimiter: ',', Header: r.Header, Types: l.Types()}
	if r.Delimiter != "" {
		src.Delimiter = rune(r.Delimiter[0])
	}
	p := &piece{to: l}
	faulty := func(key string, err error) {
		if i.Errors++; i.Errors <= toldErrors {
			s.Logger.Warn("an import met what is no item of its table", "import", i.ARN, "object", key, "error", err)
		}
	}
	for _, key := range keys {
		if err := s.reaches(i.Scope.Account, r.Bucket); err != nil { // it may be another's by now
			return err
		}
		object, err := s.Buckets.Open(r.Bucket, key)
		if err != nil {
			return err
		}
		n, err := src.Read(cancelled{ctx, object}, func(it item.Item) error {
			if e := l.Check(it); e != nil {
				faulty(key, e)
				return ctx.Err()
			}
			i.Imported++
			return errors.Join(p.add(it), ctx.Err())
		})
		i.Bytes += n
		if err := object.Close(); err != nil {
			return err
		}
		if u, ok := errors.AsType[*export.Unreadable](err); ok {
			faulty(key, u)
		} else if err != nil {
			return err
		}
	}
	return errors.Join(p.write(), ctx.Err())
}

// cancelled reads until ctx is done: not all that is read becomes an item.
type cancelled struct {
	ctx context.Context
	io.Reader
}

func (c cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// loadBackup fills the table of a restore. When what it is of is damaged there is no table.
func (s *Service) loadBackup(ctx context.Context, r *restore) error {
	l := s.Tables.Loader(r.Scope, r.Table, r.TableID)
	if l == nil {
		return fmt.Errorf("keep: the table %s, which is being restored, is not there", r.Table)
	}
	finish := l.Done
	if err := s.fill(ctx, l, r.TableID, func() error {
		if r.ID != "" {
			return s.readPast(ctx, l, r)
		}
		return s.readBackup(ctx, l, r)
	}); err != nil {
		if s.passing(ctx, err) {
			return err
		}
		of := r.Backup
		if r.ID != "" {
			of = time.UnixMilli(r.PastMS).UTC().Format(time.RFC3339Nano)
		}
		s.Logger.Error("a restore failed, and its table is removed", "table", r.Table, "of", of, "error", err)
		finish = l.Discard
	}
	r.read.Store(true)
	err := finish(ctx, func(b *store.Batch) error {
		b.Delete(rowKey(kindRestore, r.key()))
		return nil
	})
	if err != nil {
		r.read.Store(false) // it is read again
		return err
	}
	s.mu.Lock()
	if s.restores[r.key()] == r { // else the table is gone and another is restored in its place
		delete(s.restores, r.key())
	}
	s.mu.Unlock()
	delete(s.fills, r.TableID)
	return s.thaw(r)
}

// readBackup reads the files of a backup, each against its sum.
func (s *Service) readBackup(ctx context.Context, l *table.Loader, r *restore) error {
	b := get(s, s.backups, r.Backup)
	if b == nil {
		return fmt.Errorf("the backup %s is not there", r.Backup)
	}
	folder := s.files(b.ID)
	files, err := b.files(folder)
	if err != nil {
		return err
	}
	if err := l.Lose(b.Lost); err != nil {
		return err
	}
	if len(b.Lost) > 0 {
		s.Logger.Error("a table is restored from a backup that lacks ranges of its items: reads of their keys fail, and indexes do not have those items", "table", r.Table, "backup", b.ARN, "ranges", len(b.Lost))
	}
	p := &piece{to: l}
	for _, f := range files {
		if err := b.read(folder, f, func(it item.Item) error { return errors.Join(p.add(it), ctx.Err()) }); err != nil {
			return err
		}
	}
	return errors.Join(p.write(), ctx.Err())
}

// files reads the list of a backup's files.
func (b *Backup) files(folder *store.Files) ([]export.File, error) {
	const manifestMax = 64 << 20
	manifest, err := folder.Get(export.FilesJSON, manifestMax)
	if err != nil {
		return nil, err
	}
	if export.Sum(manifest) != b.Manifest {
		return nil, fileFault(b, export.FilesJSON, "is not what was written")
	}
	return export.ParseManifest(manifest)
}

// read reads one of them.
func (b *Backup) read(folder *store.Files, f export.File, add func(item.Item) error) error {
	content, err := folder.Get(f.Key, export.MaxFileBytes)
	if err != nil {
		return err
	}
	if export.Sum(content) != f.MD5Checksum {
		return fileFault(b, f.Key, "is not what was written")
	}
	src := export.Source{Format: "DYNAMODB_JSON", Compression: "GZIP"}
	items := int64(0)
	_, err = src.Read(bytes.NewReader(content), func(it item.Item) error {
		items++
		return add(it)
	})
	if err == nil && items != f.ItemCount {
		err = fileFault(b, f.Key, fmt.Sprintf("has %d items instead of %d", items, f.ItemCount))
	}
	return err
}
