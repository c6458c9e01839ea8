package local

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// Nodes (backend/remote) keep their mappings in tables of this server, which knows nothing of them. The items that such a mapping begins with are frozen here, as
// for a mapping of this server's own, and whoever works its stream reads them. The name of what is frozen says all that has to be known of it: so there is
// nothing beside it that could be lost, and a backup has both. It goes when it was read, or when the row of the mapping is gone (SweepLent).

// lentPrefix begins the names of what is frozen for nodes.
const lentPrefix = "node."

// maxLentName is how long the name of a folder may be.
const maxLentName = 255

// Errors of what is frozen for nodes.
var (
	ErrNotLent = errors.New("the items that the trigger begins with are not kept here (any more)")
	ErrIsLent  = errors.New("items are kept for a trigger with this id")
)

// Holder is a mapping of nodes, and the control table that has its row.
type Holder struct {
	UUID  string
	Scope schema.Scope
	Table string
}

type lent struct {
	mu  sync.Mutex
	all map[[16]byte]*loan
}

// loan is what is frozen for one mapping.
type loan struct {
	holder Holder
	name   string // empty while it is being frozen
	lower  []byte // where the table's items begin
	atMS   int64  // when it was frozen
	since  time.Time

	mu   sync.Mutex
	open *snapshot
	over bool // it is given up
}

func (l *loan) nameOf(raw [16]byte) string {
	h := &l.holder
	return fmt.Sprintf("%s%x.%x.%d.%s.%s.%s", lentPrefix, raw, l.lower, l.atMS, h.Scope.Account, h.Scope.Region, h.Table)
}

// lentOf reads a name; false: it is none of these.
func lentOf(name string) (raw [16]byte, l *loan, ok bool) {
	rest, is := strings.CutPrefix(name, lentPrefix)
	parts := strings.SplitN(rest, ".", 6) // a table's name may have points
	if !is || len(parts) != 6 {
		return raw, nil, false
	}
	raw, err := id(parts[0])
	lower, lowerErr := hex.DecodeString(parts[1])
	at, atErr := strconv.ParseInt(parts[2], 10, 64)
	if errors.Join(err, lowerErr, atErr) != nil {
		return raw, nil, false
	}
	uuid := parts[0]
	uuid = uuid[:8] + "-" + uuid[8:12] + "-" + uuid[12:16] + "-" + uuid[16:20] + "-" + uuid[20:]
	return raw, &loan{holder: Holder{UUID: uuid, Scope: schema.Scope{Account: parts[3], Region: parts[4]}, Table: parts[5]}, name: name, lower: lower, atMS: at, since: time.Now()}, true
}

// findLent looks for what an earlier run has frozen.
func (b *Backend) findLent() error {
	names, err := b.store.FrozenNames()
	b.lent.all = map[[16]byte]*loan{}
	for _, name := range names {
		if raw, l, ok := lentOf(name); ok {
			b.lent.all[raw] = l
		}
	}
	return err
}

// Lend freezes the items of a stream's table for a mapping of nodes, and returns what CreateMapping does of a mapping with a Snapshot. It does so once for an id.
// backend.ErrNoStream, backend.ErrNoSnapshot, ErrIsLent.
func (b *Backend) Lend(h Holder, streamARN string) (of mapping.Snapshot, at map[string]lane.Checkpoint, err error) {
	raw, err := id(h.UUID)
	if err != nil {
		return of, nil, err
	}
	s := b.streams.Get(streamARN)
	if s == nil || s.Hidden() {
		return of, nil, backend.ErrNoStream
	}
	if err := awserr.WhenFull(b.store.Admit(), store.ErrDiskFull, awserr.LambdaService().Code); err != nil {
		return of, nil, err
	}
	l := &loan{holder: h, since: time.Now()}
	b.lent.mu.Lock()
	_, there := b.lent.all[raw]
	if !there {
		b.lent.all[raw] = l
	}
	b.lent.mu.Unlock()
	if there {
		return of, nil, ErrIsLent
	}
	m := mapping.Definition{Snapshot: &of}
	name := ""
	at, err = b.freeze(&m, s, func(lower []byte) (string, error) {
		l.lower, l.atMS = lower, of.AtMS
		if name = l.nameOf(raw); len(name) > maxLentName {
			name = ""
			return "", fmt.Errorf("the name of the nodes' table %s is too long for a trigger that begins with the items that there are: give them a shorter --table-prefix", h.Table)
		}
		return name, nil
	})
	b.lent.mu.Lock()
	defer b.lent.mu.Unlock()
	if err != nil {
		delete(b.lent.all, raw)
		if name != "" {
			err = errors.Join(err, b.store.Thaw(name))
		}
		return of, nil, err
	}
	l.name = name
	return of, at, nil
}

// ReadLent reads items behind the after-th, as records in the form of GetRecords. end: the last one is among them. ErrNotLent, backend.ErrNoStream.
func (b *Backend) ReadLent(uuid, streamARN string, after uint64, maxRecords, maxBytes int) (records [][]byte, end bool, err error) {
	raw, err := id(uuid)
	if err != nil {
		return nil, false, ErrNotLent
	}
	b.lent.mu.Lock()
	l := b.lent.all[raw]
	b.lent.mu.Unlock()
	s := b.streams.Get(streamARN)
	switch {
	case s == nil || s.Hidden():
		return nil, false, backend.ErrNoStream
	case l == nil:
		return nil, false, ErrNotLent
	}
	sn, err := b.openLent(l, s)
	if err != nil {
		return nil, false, err
	}
	page, err := sn.read(after, maxRecords, maxBytes)
	if err != nil {
		return nil, false, err
	}
	if page.End && len(page.Records) == 0 && sn.closed() { // given up meanwhile
		return nil, false, ErrNotLent
	}
	for _, r := range page.Records {
		records = append(records, r.(*stream.Record).AppendJSON(nil))
	}
	return records, page.End, nil
}

func (b *Backend) openLent(l *loan, s *stream.Stream) (*snapshot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
		return nil, ErrNotLent
	case l.open != nil:
		return l.open, nil
	}
	b.lent.mu.Lock()
	name := l.name
	b.lent.mu.Unlock()
	if name == "" {
		return nil, ErrNotLent
	}
	f, err := b.store.OpenFrozen(name)
	if err != nil {
		return nil, err
	}
	l.open = &snapshot{frozen: f, stream: s, of: mapping.Snapshot{AtMS: l.atMS, Lower: l.lower, Upper: store.PrefixEnd(l.lower)}}
	return l.open, nil
}

// EndLent gives up what is frozen for a mapping of nodes, if there is something.
func (b *Backend) EndLent(uuid string) error {
	raw, err := id(uuid)
	if err != nil {
		return err
	}
	b.lent.mu.Lock()
	l := b.lent.all[raw]
	if l == nil || l.name == "" {
		b.lent.mu.Unlock()
		return nil
	}
	delete(b.lent.all, raw)
	b.lent.mu.Unlock()
	return errors.Join(l.close(), b.store.Thaw(l.name))
}

// SweepLent gives up what is frozen for mappings that are not there. One that is being made is not there yet: so nothing goes that is younger than grace, or is
// known for no longer since the start.
func (b *Backend) SweepLent(ctx context.Context, grace time.Duration) error {
	var errs []error
	b.lent.mu.Lock()
	var old []Holder
	for _, l := range b.lent.all {
		if l.name != "" && time.Since(l.since) >= grace {
			old = append(old, l.holder)
		}
	}
	b.lent.mu.Unlock()
	for _, h := range old {
		is, err := b.holds(ctx, h)
		if err == nil && !is {
			err = b.EndLent(h.UUID)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// holds reports whether nodes have the mapping.
func (b *Backend) holds(ctx context.Context, h Holder) (bool, error) {
	body, err := json.Marshal(map[string]any{"TableName": h.Table, "ConsistentRead": true, "Key": map[string]any{
		"p": map[string]string{"S": backend.NodesDefinitions}, "s": map[string]string{"S": backend.NodesMapping + h.UUID},
	}})
	if err != nil {
		return false, err
	}
	r, err := request.DecodeGetItem(body)
	if err != nil {
		return false, err
	}
	got, err := b.tables.GetItem(ctx, h.Scope, r)
	if refused, is := errors.AsType[*awserr.Error](err); is && refused.Code == "ResourceNotFoundException" {
		return false, nil
	}
	return err == nil && got.Found, err
}

func (l *loan) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over = true; l.open == nil {
		return nil
	}
	return l.open.close()
}

func (l *lent) close() (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.all {
		err = errors.Join(err, one.close())
	}
	l.all = nil
	return err
}

func (sn *snapshot) closed() bool {
	sn.mu.Lock()
	defer sn.mu.Unlock()
	return sn.frozen == nil
}
