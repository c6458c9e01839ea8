package keep

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/export"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table"
)

// retry is how long work waits while the store takes no writes.
const retry = 5 * time.Second

// RunSaves is the worker that writes backups and exports, one after the other. It returns when ctx is done, or the store has
// failed.
func (s *Service) RunSaves(ctx context.Context) error { return s.run(ctx, s.saves, s.saveNext) }

// RunLoads is the worker that fills tables, one after the other.
func (s *Service) RunLoads(ctx context.Context) error { return s.run(ctx, s.loads, s.loadNext) }

// run calls next until nothing is left to do, and again when it is woken.
func (s *Service) run(ctx context.Context, woken <-chan struct{}, next func(context.Context) (bool, error)) error {
	for {
		var later <-chan time.Time
		more, err := true, error(nil)
		for more && err == nil {
			more, err = next(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errSetBack):
			later = time.After(retry)
		case waits(err):
			s.Logger.Warn("a backup, export or import waits until the store takes writes again", "error", err)
			later = time.After(retry)
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-woken:
		case <-later:
		}
	}
}

// saveNext does the oldest work that there is.
func (s *Service) saveNext(ctx context.Context) (more bool, err error) {
	type job struct {
		id string
		do func() error
	}
	var jobs []job
	for _, b := range values(s, s.backups, func(b *Backup) bool { return b.Status == Creating }) {
		jobs = append(jobs, job{b.ID, func() error { return s.saveBackup(ctx, b) }})
	}
	for _, e := range values(s, s.exports, func(e *Export) bool { return e.Status == InProgress }) {
		jobs = append(jobs, job{e.ID, func() error { return s.saveExport(ctx, e) }})
	}
	if len(jobs) == 0 {
		return false, nil
	}
	jobs = slices.DeleteFunc(jobs, func(j job) bool { return s.waiting(j.id) })
	if len(jobs) == 0 {
		return false, errSetBack
	}
	oldest := slices.MinFunc(jobs, func(a, b job) int { return cmp.Compare(a.id, b.id) })
	if err := oldest.do(); err != nil {
		if ctx.Err() != nil || s.Store.Err() != nil {
			return false, err
		}
		s.setBack(oldest.id, err)
		return true, nil // younger work need not wait for it
	}
	s.goesOn(oldest.id)
	if err := s.Store.MakeDurable(); err != nil { // else a crash brings back the row that says it is to be done
		return false, err
	}
	s.left(frozenName(oldest.id), s.Store.Thaw(frozenName(oldest.id)))
	return true, nil
}

// passing reports whether an error is none of the work's own: it is tried again, or ends the worker.
func (s *Service) passing(ctx context.Context, err error) bool {
	return ctx.Err() != nil || waits(err) || s.Store.Err() != nil
}

// waits reports whether an error says that the store takes no writes for now.
func waits(err error) bool {
	return errors.Is(err, store.ErrDiskFull) || errors.Is(err, store.ErrStalled)
}

// saveBackup writes the files of a backup. One that cannot be made is Deleted; but one of a deleted table is all that there is of it, and
// is tried again.
func (s *Service) saveBackup(ctx context.Context, b *Backup) error {
	if err := s.Store.Admit(); err != nil { // the disk is full of something else: this is no try
		return err
	}
	next := *b
	each := func(f func(item.Item) error) error { return s.each(ctx, b.ID, b.Saved, 0, f) }
	if b.ExpiresMS != 0 {
		each = func(f func(item.Item) error) (err error) {
			next.Lost, err = b.Saved.EachLeft(ctx, s.Store, f)
			return err
		}
	}
	files, items, err := s.write(ctx, b.ID, each, s.files(b.ID).Put)
	if err == nil {
		var manifest []byte
		if manifest, err = export.Manifest(files); err == nil {
			next.Manifest = export.Sum(manifest)
			err = s.files(b.ID).Put(export.FilesJSON, manifest)
		}
		saved := *b.Saved
		saved.Items = items
		next.Status, next.Saved = Available, &saved
	}
	if err != nil {
		if ctx.Err() != nil || s.Store.Err() != nil {
			return err
		}
		full := errors.Is(err, store.ErrDiskFull)
		if full && b.ExpiresMS == 0 && s.tries(b.ID)+1 >= maxFills {
			err = errNoRoomBackup
		} else if b.ExpiresMS != 0 || waits(err) {
			s.left(b.ID, s.files(b.ID).Remove()) // others need the room until the next try
			if b.ExpiresMS == 0 && !full {       // the store takes no writes for now: this is no try
				return err
			}
			return &setback{err}
		}
		s.Logger.Error("a backup failed, and is not there", "backup", b.ARN, "table", b.Table, "error", err)
		next.Status, next.Failure = Deleted, err.Error()
	}
	if b.ExpiresMS != 0 {
		for _, l := range next.Lost {
			s.Logger.Error("the backup of a deleted table lacks a range of its items, which was lost to damage: a table that is restored from it answers for those keys with an error",
				"backup", b.ARN, "table", b.Table, "file", l.File, "from", fmt.Sprintf("%x", l.From), "to", fmt.Sprintf("%x", l.To))
		}
		return s.endDeleted(b, &next)
	}
	if err := put(s, s.backups, kindBackup, b.ARN, &next); err != nil {
		return err
	}
	if next.Status == Deleted {
		if err := s.Store.MakeDurable(); err != nil {
			return err
		}
		s.left(b.ID, s.files(b.ID).Remove())
	}
	return nil
}

// longestPause is the most that the writing of files leaves to others between two of them. On a machine that has much else to do a
// file takes long by the clock, and waiting as long again would help nobody.
const longestPause = 250 * time.Millisecond

// write writes items to data files. Between files it leaves the machine to others for as long as a file
// took, at most longestPause.
func (s *Service) write(ctx context.Context, id string, each func(func(item.Item) error) error, put func(name string, content []byte) error) (files []export.File, items int64, err error) {
	return s.writeFiles(ctx, id, func(w *export.Writer) error { return each(w.Add) }, put)
}

// writeFiles is write of whatever fill adds.
func (s *Service) writeFiles(ctx context.Context, id string, fill func(*export.Writer) error, put func(name string, content []byte) error) (files []export.File, items int64, err error) {
	began, first := time.Now(), true
	w, err := export.NewWriter(id, func(name string, content []byte) error {
		if err := s.Store.Admit(); err != nil {
			return err
		}
		if !first {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(min(time.Since(began), longestPause)):
			}
		}
		err := put(name, content)
		began, first = time.Now(), false
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	if err := fill(w); err != nil {
		return nil, 0, err
	}
	return w.Close()
}

// bucketGone is how AWS tells that there is no such bucket.
const bucketGone, bucketGoneText = "S3NoSuchBucket", "The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket)"

// bucketDenied is how it tells that there is one, and another account's.
const bucketDenied, bucketDeniedText = "S3AccessDenied", "Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)"

// errBucketGone says that a bucket is not there; that it is another account's is fs.ErrPermission.
var errBucketGone = errors.New(bucketGoneText)

// reaches says why a bucket is none of an account's.
func (s *Service) reaches(account, bucket string) error {
	there, err := s.Buckets.Exists(account, bucket)
	if err == nil && !there {
		err = errBucketGone
	}
	return err
}

// failure is how AWS tells of an error. For a fault of the service it tells of no code but that of a request.
func failure(err error) (code, message string) {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return bucketDenied, bucketDeniedText
	case errors.Is(err, errBucketGone):
		return bucketGone, bucketGoneText
	}
	return awserr.Internal().Code, err.Error()
}

func (s *Service) saveExport(ctx context.Context, e *Export) error {
	if err := s.Store.Admit(); err != nil { // the disk is full of something else: this is no try
		return err
	}
	next := *e
	if err := s.writeExport(ctx, e, &next); err != nil {
		switch full := errors.Is(err, store.ErrDiskFull); {
		case ctx.Err() != nil || s.Store.Err() != nil || errors.Is(err, store.ErrStalled):
			return err
		case full && s.tries(e.ID)+1 < maxFills:
			return &setback{err}
		case full:
			err = errNoRoomExport
		case errors.Is(err, store.ErrDamaged):
			err = e.damaged(err)
		}
		next.FailureCode, next.FailureMessage = failure(err)
	}
	next.Status, next.Saved, next.EndMS = Completed, nil, s.Now().UnixMilli()
	if next.FailureCode != "" {
		s.Logger.Error("an export failed", "export", e.ARN, "code", next.FailureCode, "error", next.FailureMessage)
		next.Status = Failed
	}
	return put(s, s.exports, kindExport, e.ARN, &next)
}

// damaged says what to do about damage that an export has met.
func (e *Export) damaged(err error) error {
	todo := "begin the export again, which reads a new copy of the table: if that fails, too, `millstream check` says what is damaged"
	if table.NotUndone(err) {
		todo = "`millstream check` says what is damaged, and which moments can be restored: export another one, or the table as it is now"
	}
	return fmt.Errorf("the table %s could not be read whole (%w), and an export never leaves out items in silence, so there is none; %s", e.Request.Table, err, todo)
}

var errNoRoomBackup = fmt.Errorf("the disk has no room for the backup: it was full each of the %d times that it was written; free some space, and make another", maxFills)

var errNoRoomExport = fmt.Errorf("the disk has no room for the export: it was full each of the %d times that it was written; free some space, and begin again", maxFills)

// Time is the moment that was exported.
func (e *Export) Time() time.Time { return time.UnixMilli(cmp.Or(e.PastMS, e.AtMS)) }

// writeExport writes an export into its bucket, the summary last: without it an export is not there.
func (s *Service) writeExport(ctx context.Context, e, next *Export) error {
	r := &e.Request
	folder := export.Folder(r.Prefix, e.ID)
	putAt := func(key string, content []byte) error {
		if err := s.reaches(r.Scope.Account, r.Bucket); err != nil { // each time: it may be another's by now
			return err
		}
		return s.Buckets.Put(r.Bucket, key, content)
	}
	put := func(name string, content []byte) error { return putAt(folder+name, content) }
	if err := put(export.Started, nil); err != nil {
		return err
	}
	next.Bytes = 0 // of a moment nobody knows it before
	each := func(f func(item.Item) error) error {
		return s.each(ctx, e.ID, e.Saved, e.PastMS, func(it item.Item) error {
			next.Bytes += int64(it.Size())
			return f(it)
		})
	}
	fill := func(w *export.Writer) error { return each(w.Add) }
	data := folder + export.DataFolder
	if r.Incremental() {
		data = export.SharedFolder(r.Prefix)
		fill = func(w *export.Writer) error {
			return s.eachChange(ctx, e, func(c *table.ItemChange) error {
				old := c.Old
				if r.View == "NEW_IMAGE" && c.New != nil {
					old = nil
				}
				for _, image := range []item.Item{old, c.New} {
					if image != nil {
						next.Bytes += int64(image.Size())
					}
				}
				if r.View == "NEW_IMAGE" && c.New == nil {
					return w.AddDelete(c.Keys, c.Old, time.UnixMilli(c.AtMS))
				}
				return w.AddChange(c.Keys, old, c.New, time.UnixMilli(c.AtMS))
			})
		}
	}
	files, items, err := s.writeFiles(ctx, e.ID, fill, func(name string, content []byte) error { return putAt(data+name, content) })
	if err != nil {
		return err
	}
	for i := range files {
		files[i].Key = data + files[i].Key
	}
	manifest, err := export.Manifest(files)
	if err != nil {
		return err
	}
	next.Items, next.Manifest = items, folder+export.SummaryJSON
	orNull := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	told := export.Summary{
		Version: "2020-06-30", ExportARN: e.ARN, StartTime: export.Time(time.UnixMilli(e.AtMS)), EndTime: export.Time(s.Now()), TableARN: r.TableARN,
		TableID: e.TableID, ExportTime: export.Time(e.Time()), S3Bucket: r.Bucket, S3Prefix: orNull(r.Prefix),
		S3SSEAlgorithm: cmp.Or(r.Algorithm, "AES256"), S3SSEKMSKeyID: orNull(r.Key), ManifestFilesKey: folder + export.FilesJSON,
		BilledSizeBytes: next.Bytes, ItemCount: items, OutputFormat: "DYNAMODB_JSON",
	}
	if r.Incremental() {
		told.Version, told.ExportTime, told.OutputView, told.ExportType = "2023-08-01", "", r.View, r.Type
		told.ExportFromTime, told.ExportToTime = export.Time(time.UnixMilli(e.FromMS)), export.Time(time.UnixMilli(e.ToMS))
	}
	summary, err := json.Marshal(told)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{export.FilesJSON, manifest}, {export.FilesSum, []byte(export.Sum(manifest))},
		{export.SummarySum, []byte(export.Sum(summary))}, {export.SummaryJSON, summary},
	} {
		if err := put(f.name, f.content); err != nil {
			return err
		}
	}
	return nil
}

// fileFault says what is wrong with a file of a backup.
func fileFault(b *Backup, name, what string) error {
	return fmt.Errorf("%w: the file %s of the backup %s %s", store.ErrDamaged, strings.Join([]string{store.BackupsPath, b.ID, name}, "/"), b.ARN, what)
}
