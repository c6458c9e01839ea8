package keep

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/table"
)

// Buckets are the server's own, to which tables are exported and from which they are imported.
type Buckets interface {
	// Exists reports whether a bucket is there. The error is fs.ErrPermission where it is another account's.
	Exists(account, bucket string) (bool, error)
	// Put writes an object whole. While the disk is full its error is over store.ErrDiskFull.
	Put(bucket, key string, content []byte) error
	Open(bucket, key string) (io.ReadCloser, error)
	// Keys lists those that begin with prefix, ascending.
	Keys(bucket, prefix string) ([]string, error)
}

// Options of Open.
type Options struct {
	Store   *store.Store
	Tables  *table.DB
	Buckets Buckets
	Now     func() time.Time // stamps what is made
	// Believed is what the time must be, in ms since 1970: by a clock that may be wrong nothing is forgotten. nil: Now.
	Believed func() int64
	Logger   *slog.Logger
}

// Service holds the backups, exports and imports. Its methods may be called by many goroutines at once. They return
// *awserr.Error for what AWS has an error for.
type Service struct {
	Options

	// control is held by whoever makes or removes one, over all of that.
	control sync.Mutex
	lastID  time.Time // of nextID; control guards it

	mu       sync.Mutex // guards the following; a value is not changed once it is there
	backups  map[string]*Backup
	exports  map[string]*Export
	imports  map[string]*Import
	restores map[string]*restore // by key

	pauses map[string]pause     // backups and exports that wait, by id
	told   map[string]time.Time // when the log last told of an error, by kind

	saves, loads chan struct{} // wake the workers; each holds one

	fills map[string]int // how often a table was filled until the disk was full, by TableId; RunLoads' own
}

// The rows: SpaceKeep, what it is of, the ARN; of a restore the new table's ARN.
const (
	kindBackup  = 'b'
	kindExport  = 'e'
	kindImport  = 'i'
	kindRestore = 'r'
	rowVersion  = 1
	pastVersion = 2 // what came with point-in-time recovery: an older release would remove what it is of, or make it of another moment
	// windowVersion is that of an export of changes: an earlier release would export all.
	windowVersion = 3
	newestVersion = windowVersion
)

// keepFor is how long exports and imports that have ended are listed, and tokenFor how long a client token is good, as on AWS.
const (
	keepFor  = 90 * 24 * time.Hour
	tokenFor = 8 * time.Hour
)

// maxEnded is how many exports of an account and region that have ended are listed at most, and how many imports.
const maxEnded = 1000

// maxSaves and maxLoads bound what is under way: each save holds a copy of a table, whose files take room once the database
// has no more use for them. AWS takes 50 imports at once.
const maxSaves, maxLoads = 50, 50

// Status of an export or import.
const (
	InProgress = "IN_PROGRESS"
	Completed  = "COMPLETED"
	Failed     = "FAILED"
)

// Status of a backup. One that could not be made is deleted, with a reason in the log.
const (
	Creating  = "CREATING"
	Available = "AVAILABLE"
	Deleted   = "DELETED"
)

// Backup is a backup of a table; it is a row, as JSON. Fields are only ever added.
type Backup struct {
	ARN       string       `json:"arn"`
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Scope     schema.Scope `json:"scope"`
	Table     string       `json:"table"`
	Status    string       `json:"status"`
	CreatedMS int64        `json:"createdMs"`
	Saved     *table.Saved `json:"saved"`
	// ExpiresMS is when one is removed that was made of a table at its deletion (deleted.go); 0: it is one that somebody asked for.
	ExpiresMS int64 `json:"expiresMs,omitempty"`
	// Manifest is the sum of the list of its files, once they are there.
	Manifest string `json:"manifest,omitempty"`
	Failure  string `json:"failure,omitempty"` // of one that could not be made
	// Lost is what damage has left nothing of, of a table that was deleted: the backup has the rest, and a table that is restored from it answers for these
	// keys with an error.
	Lost []table.Lost `json:"lost,omitempty"`
}

// Export is an export of a table, a row like Backup.
type Export struct {
	ARN            string         `json:"arn"`
	ID             string         `json:"id"`
	Request        request.Export `json:"request"`
	Fingerprint    string         `json:"fingerprint"` // of the request
	TableID        string         `json:"tableId"`
	Status         string         `json:"status"`
	AtMS           int64          `json:"atMs"`
	PastMS         int64          `json:"pastMs,omitempty"` // the moment that is exported; 0: that of the request
	FromMS         int64          `json:"fromMs,omitempty"` // of an incremental one: what was changed from then on, and before ToMS
	ToMS           int64          `json:"toMs,omitempty"`
	EndMS          int64          `json:"endMs,omitempty"`
	Saved          *table.Saved   `json:"saved,omitempty"` // until its end
	Items          int64          `json:"items,omitempty"`
	Bytes          int64          `json:"bytes,omitempty"`
	Manifest       string         `json:"manifest,omitempty"` // the summary's key
	FailureCode    string         `json:"failureCode,omitempty"`
	FailureMessage string         `json:"failureMessage,omitempty"`
}

// Import is an import into a new table, a row like Backup. The counts are known at its end.
type Import struct {
	ARN            string         `json:"arn"`
	Request        request.Import `json:"request"`
	Scope          schema.Scope   `json:"scope"`
	TableID        string         `json:"tableId"`
	Status         string         `json:"status"`
	StartMS        int64          `json:"startMs"`
	EndMS          int64          `json:"endMs,omitempty"`
	Imported       int64          `json:"imported,omitempty"`
	Errors         int64          `json:"errors,omitempty"`
	Bytes          int64          `json:"bytes,omitempty"`
	FailureCode    string         `json:"failureCode,omitempty"`
	FailureMessage string         `json:"failureMessage,omitempty"`
}

// restore is the filling of a table from a backup, or with what a table was at a moment; a row until its end.
type restore struct {
	Scope   schema.Scope `json:"scope"`
	Table   string       `json:"table"`
	TableID string       `json:"tableId"`
	Backup  string       `json:"backup,omitempty"` // ARN; empty: it is of a moment
	AtMS    int64        `json:"atMs"`

	ID     string       `json:"id,omitempty"`     // of what was frozen for a moment
	Saved  *table.Saved `json:"saved,omitempty"`  // the table that it is of
	PastMS int64        `json:"pastMs,omitempty"` // the moment

	read atomic.Bool // all of what it is of: its table may be seen as made before the restore is forgotten
}

func (r *restore) key() string { return r.Scope.TableARN(r.Table) }

// Open brings up what there is. Nothing is done until RunSaves and RunLoads.
func Open(o Options) (*Service, error) {
	if o.Believed == nil {
		o.Believed = func() int64 { return o.Now().UnixMilli() }
	}
	s := &Service{
		Options: o, backups: map[string]*Backup{}, exports: map[string]*Export{}, imports: map[string]*Import{}, restores: map[string]*restore{},
		fills: map[string]int{}, pauses: map[string]pause{}, told: map[string]time.Time{},
		saves: make(chan struct{}, 1), loads: make(chan struct{}, 1),
	}
	if err := o.Store.Each([]byte{store.SpaceKeep}, s.load); err != nil {
		return nil, err
	}
	o.Tables.OnDelete(s.deleted)
	return s, errors.Join(s.sweep(), o.Tables.SweepPast())
}

func (s *Service) load(key, value []byte) error {
	if len(value) == 0 || value[0] < rowVersion || value[0] > newestVersion {
		return errors.New("keep: a backup, export or import was written by a newer release; open the data with that release")
	}
	arn, body := string(key[2:]), value[1:]
	var err error
	switch key[1] {
	case kindBackup:
		err = loadInto(s.backups, arn, body)
	case kindExport:
		err = loadInto(s.exports, arn, body)
	case kindImport:
		err = loadInto(s.imports, arn, body)
	case kindRestore:
		err = loadInto(s.restores, arn, body)
	}
	return err
}

func loadInto[T any](m map[string]*T, key string, body []byte) error {
	v := new(T)
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("keep: the row of %s is damaged: %w", key, err)
	}
	m[key] = v
	return nil
}

// sweep removes what has no row: it was being made, or removed, when the server ended. After a loss that was accepted it may be that
// its row was lost: then it is set aside.
func (s *Service) sweep() error {
	frozen, files := map[string]bool{}, map[string]bool{}
	for _, b := range s.backups {
		frozen[frozenName(b.ID)] = b.Status == Creating
		files[b.ID] = b.Status != Deleted
	}
	for _, e := range s.exports {
		frozen[frozenName(e.ID)] = e.Status == InProgress
	}
	for _, r := range s.restores {
		frozen[frozenName(r.ID)] = r.ID != ""
	}
	names, err := s.Store.FrozenNames()
	for _, name := range names {
		if strings.HasPrefix(name, store.FrozenTable) && !frozen[name] {
			s.left(name, s.Store.ThawStray(name))
		}
	}
	if err != nil {
		return err
	}
	names, err = s.Store.Files(store.BackupsPath).Names()
	for _, name := range names {
		// What has another name is not ours: someone may keep copies of the whole folder there.
		if !files[name] && IsID(name) {
			s.left(name, s.Store.RemoveStray(store.BackupsPath, name))
		}
	}
	return err
}

// left tells of files that nothing needs any more and that could not be removed. Nobody has to wait for that: the sweep at the
// next start tries again.
func (s *Service) left(name string, err error) {
	if err != nil {
		s.Logger.Error("files that are needed no more cannot be removed; the next start tries again", "name", name, "error", err)
	}
}

func frozenName(id string) string { return store.FrozenTable + id }

func (s *Service) files(id string) *store.Files { return s.Store.Files(store.BackupsPath, id) }

// newID returns the last part of an ARN, in AWS's form: time in ms and something random. They rise with time.
func newID(now time.Time) string {
	return fmt.Sprintf("%014d-%08x", now.UnixMilli(), rand.Uint32())
}

// nextID is newID for what is made now. Of two in one millisecond the later one has the later time, so that lists have the order in which things
// were made. control is held.
func (s *Service) nextID(now time.Time) string {
	now = now.Truncate(time.Millisecond)
	if ahead := s.lastID.Sub(now); ahead >= 0 && ahead < time.Second {
		now = s.lastID.Add(time.Millisecond)
	}
	s.lastID = now
	return newID(now)
}

var idForm = regexp.MustCompile(`^[0-9]{14}-[0-9a-f]{8}$`)

// IsID reports whether a name has the form of newID's. The files of a backup lie in a folder of such a name; what else is
// beside them is someone's own.
func IsID(name string) bool { return idForm.MatchString(name) }

func rowKey(kind byte, arn string) []byte { return append([]byte{store.SpaceKeep, kind}, arn...) }

func row(b *store.Batch, kind byte, arn string, v any) error {
	body, err := json.Marshal(v)
	if err == nil {
		b.Set(rowKey(kind, arn), append([]byte{versionOf(v)}, body...))
	}
	return err
}

func versionOf(v any) byte {
	past := false
	if e, ok := v.(*Export); ok && e.FromMS != 0 && e.Status == InProgress {
		return windowVersion
	}
	switch v := v.(type) {
	case *Backup:
		past = v.ExpiresMS != 0
	case *Export:
		past = v.PastMS != 0 && v.Status == InProgress
	case *restore:
		past = v.ID != ""
	}
	if past {
		return pastVersion
	}
	return rowVersion
}

// put writes a row, durably, and then has it seen.
func put[T any](s *Service, m map[string]*T, kind byte, arn string, v *T) error {
	// Freeze has admitted what begins by the row; others end what holds room.
	if err := s.Store.AdmitDelete(); err != nil {
		return err
	}
	b := s.Store.NewBatch()
	defer b.Close()
	if err := row(b, kind, arn, v); err != nil {
		return err
	}
	if err := s.Store.Write(b); err != nil {
		return err
	}
	show(s, m, arn, v)
	return nil
}

// show has a value seen that is durable.
func show[T any](s *Service, m map[string]*T, arn string, v *T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m[arn] = v
}

// drop removes a row, and what is known of it.
func drop[T any](s *Service, m map[string]*T, kind byte, arn string) error {
	b := s.Store.NewBatch()
	defer b.Close()
	b.Delete(rowKey(kind, arn))
	if err := s.Store.Write(b); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(m, arn)
	return nil
}

// get returns what is known under an ARN; nil: nothing.
func get[T any](s *Service, m map[string]*T, arn string) *T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m[arn]
}

// values returns all for which keep says so.
func values[T any](s *Service, m map[string]*T, keep func(*T) bool) (list []*T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range m {
		if keep(v) {
			list = append(list, v)
		}
	}
	return list
}

func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// forget removes the rows of what ended long ago, and the oldest ones when there are too many. control is held.
func (s *Service) forget() error {
	now := s.Believed()
	return errors.Join(
		forget(s, s.exports, kindExport, now, func(e *Export) (string, schema.Scope, int64, bool) {
			return e.ARN, e.Request.Scope, e.EndMS, e.Status != InProgress
		}),
		forget(s, s.imports, kindImport, now, func(i *Import) (string, schema.Scope, int64, bool) {
			return i.ARN, i.Scope, i.EndMS, i.Status != InProgress
		}),
		forget(s, s.backups, kindBackup, now, func(b *Backup) (string, schema.Scope, int64, bool) {
			return b.ARN, b.Scope, b.CreatedMS, b.Status == Deleted
		}))
}

func forget[T any](s *Service, m map[string]*T, kind byte, now int64, of func(*T) (arn string, scope schema.Scope, endMS int64, ended bool)) error {
	list := values(s, m, func(v *T) bool { _, _, _, ended := of(v); return ended })
	slices.SortFunc(list, func(a, b *T) int { // the newest first
		arnA, _, endA, _ := of(a)
		arnB, _, endB, _ := of(b)
		return cmp.Or(cmp.Compare(endB, endA), cmp.Compare(arnB, arnA))
	})
	kept := map[schema.Scope]int{}
	for _, v := range list {
		arn, scope, endMS, _ := of(v)
		if kept[scope]++; kept[scope] <= maxEnded && endMS >= now-keepFor.Milliseconds() {
			continue
		}
		if err := drop(s, m, kind, arn); err != nil {
			return err
		}
	}
	return nil
}

// durable answers e once what it tells of is durable.
func (s *Service) durable(ctx context.Context, e *awserr.Error) error {
	if err := s.Store.Barrier(ctx); err != nil {
		return err
	}
	return e
}
