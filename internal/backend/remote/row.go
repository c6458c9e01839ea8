package remote

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Row is an item of a control table: a key of two parts, a version that rises by one with each write, the nonce of the write, and
// JSON. Conditions are on the version only.
type Row struct {
	P, S string
	V    uint64
	W    string
	Data string
	// Body is text beside Data that does not change. KeepBody, of a Put, leaves the one that is there.
	Body     string
	KeepBody bool
	// Until is when the database may remove the row, in seconds since 1970; 0: never.
	Until int64
}

// Endpoint is the database. Every error but those below leaves open whether a write was applied.
type Endpoint interface {
	// Put stores a row in the place of the one whose version is v; 0: where there is none. Otherwise it is *Refused.
	Put(ctx context.Context, table string, r Row, v uint64) error
	// Delete removes a row, if it is there and has the version v, or with 0 whatever it has. *Refused when it has another.
	Delete(ctx context.Context, table, p, s string, v uint64) error
	// Query returns the row with both keys as it is now, if there is one.
	Query(ctx context.Context, table, p, s string) ([]Row, error)
	// Part returns rows with a first key from a second one on, in their order, as they are now: at most limit, and where the next ones
	// begin, empty at the end. heads: without bodies.
	Part(ctx context.Context, table, p, from string, limit int, heads bool) (rows []Row, next string, err error)

	// Transact makes a function's items, in the form of TransactItems, and rows, all or none. *Cancelled, *Unwritable.
	Transact(ctx context.Context, items []json.RawMessage, rows []Written) error

	// Describe returns all shards of a stream. ErrGone when there is no such stream.
	Describe(ctx context.Context, arn string) (Described, error)
	// Iterator begins to read a shard: at TrimHorizon, Latest, a moment (atTime), or behind a number. ErrTrimmed, ErrGone.
	Iterator(ctx context.Context, arn, shard, at string) (string, error)
	// Records reads on. It is held for up to wait while there is nothing. ErrTrimmed, ErrExpired, ErrGone.
	Records(ctx context.Context, iterator string, limit int, wait time.Duration) (Records, error)
}

// Places in a shard beside numbers.
const (
	TrimHorizon = "TRIM_HORIZON"
	Latest      = "LATEST"
)

// Errors of an Endpoint that are certain.
var (
	ErrGone    = errors.New("remote: no such stream or shard")
	ErrTrimmed = errors.New("remote: records behind this number were trimmed")
	ErrExpired = errors.New("remote: the iterator is too old")
)

// Refused is the answer to a Put whose condition does not hold.
type Refused struct{ Now *Row } // nil: there is none

func (r *Refused) Error() string { return "remote: the row has another version" }

// Described is what Describe knows.
type Described struct {
	Table  string
	Shards []DescribedShard // parents before their children
}

// DescribedShard is a shard; Start is the number of its first record.
type DescribedShard struct {
	ID, Parent, Start string
	Closed            bool
}

// Records is one page of a shard.
type Records struct {
	// After is the number behind which it begins. There is no record between them.
	After   string
	Records []json.RawMessage
	Next    string // empty: the shard is closed, and these are its last records
	// Of a Polled only. Trimmed: there are no records, and what was right behind After may have been trimmed: nobody knows. Clock: the endpoint's, in
	// seconds since 1970.
	Trimmed bool
	Clock   int64
}

func nonce() string { return rand.Text()[:12] }

// Times of requests. A try that is not answered is made again, the same.
const (
	tryFor   = 3 * time.Second
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
)

// put makes a write and returns once it is known what became of it: nil when it was applied, *Refused when it was not and never
// will be, or ctx's error, which leaves it open. All tries have the same content, version and nonce: so a try that was
// applied is known by its nonce, and one that arrives late is refused.
func (b *Backend) put(ctx context.Context, table string, r Row, v uint64) (Row, error) {
	return b.putTold(ctx, table, r, v, func() {})
}

// putTold is put, and tells of each try that failed.
func (b *Backend) putTold(ctx context.Context, table string, r Row, v uint64, failed func()) (Row, error) {
	if r.W = nonce(); v > 0 || r.V == 0 { // the version of a row that is new may be the caller's
		r.V = v + 1
	}
	pause := minPause
	for {
		try, cancel := context.WithTimeout(ctx, tryFor)
		err := b.o.Endpoint.Put(try, table, r, v)
		cancel()
		if err == nil {
			return r, nil
		}
		if refused, ok := errors.AsType[*Refused](err); ok {
			if refused.Now != nil && refused.Now.W == r.W {
				return r, nil
			}
			return Row{}, err
		}
		failed()
		if err := b.pause(ctx, &pause, "a write", err); err != nil {
			return Row{}, err
		}
	}
}

// pause waits before another try, longer each time.
func (b *Backend) pause(ctx context.Context, pause *time.Duration, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b.complain(what, err)
	t := time.NewTimer(*pause)
	defer t.Stop()
	*pause = min(*pause*2, maxPause)
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// complain logs that the endpoint does not answer, once in ten seconds.
func (b *Backend) complain(what string, err error) {
	now := int64(b.o.Elapsed()) + 1
	if last := b.complained.Load(); (last == 0 || now-last > int64(10*time.Second)) && b.complained.CompareAndSwap(last, now) {
		b.o.Log.Warn("the tables' endpoint has not done what was asked of it; trying again", "what", what, "error", err)
	}
}

// query reads a partition, or one row of it, and tries until ctx ends. Each page has its own time.
func (b *Backend) query(ctx context.Context, table, p, s string) (all []Row, err error) {
	for from := ""; s == ""; {
		rows, next, err := b.part(ctx, table, p, from, pageSize, false)
		if err != nil {
			return nil, err
		}
		if all = append(all, rows...); next == "" {
			return all, nil
		}
		from = next
	}
	for pause := minPause; ; {
		try, cancel := context.WithTimeout(ctx, tryFor)
		rows, err := b.o.Endpoint.Query(try, table, p, s)
		cancel()
		if err == nil {
			return rows, nil
		}
		if err := b.pause(ctx, &pause, "a read", err); err != nil {
			return nil, err
		}
	}
}

// get reads one row; nil when there is none.
func (b *Backend) get(ctx context.Context, table, p, s string) (*Row, error) {
	rows, err := b.query(ctx, table, p, s)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// describe, iterate and records ask once, and do not wait for ever.

func (b *Backend) describe(ctx context.Context, arn string) (Described, error) {
	try, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	return b.o.Endpoint.Describe(try, arn)
}

func (b *Backend) iterate(ctx context.Context, arn, shard, at string) (string, error) {
	limit := tryFor
	if b.o.Polled && (at == Latest || strings.HasPrefix(at, timePrefix)) { // the shard is read through
		limit = time.Minute
	}
	try, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return b.o.Endpoint.Iterator(try, arn, shard, at)
}

func (b *Backend) records(ctx context.Context, iterator string, limit int, wait time.Duration) (Records, error) {
	try, cancel := context.WithTimeout(ctx, wait+tryFor)
	defer cancel()
	return b.o.Endpoint.Records(try, iterator, limit, wait)
}

func (b *Backend) remove(ctx context.Context, table, p, s string) error {
	try, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	return b.o.Endpoint.Delete(try, table, p, s, 0)
}

// removeAt removes a row of this version, and returns once it is known that there is none of it any more.
func (b *Backend) removeAt(ctx context.Context, table string, r *Row) error {
	for pause := minPause; ; {
		try, cancel := context.WithTimeout(ctx, tryFor)
		err := b.o.Endpoint.Delete(try, table, r.P, r.S, r.V)
		cancel()
		if _, refused := errors.AsType[*Refused](err); err == nil || refused {
			return nil
		}
		if err := b.pause(ctx, &pause, "a removal", err); err != nil {
			return err
		}
	}
}

// part reads a part of a partition, and tries until ctx ends.
func (b *Backend) part(ctx context.Context, table, p, from string, limit int, heads bool) ([]Row, string, error) {
	for pause := minPause; ; {
		try, cancel := context.WithTimeout(ctx, tryFor)
		rows, next, err := b.o.Endpoint.Part(try, table, p, from, limit, heads)
		cancel()
		if err == nil {
			return rows, next, nil
		}
		if err := b.pause(ctx, &pause, "a read", err); err != nil {
			return nil, "", err
		}
	}
}

// head reads one row without its body; nil when there is none.
func (b *Backend) head(ctx context.Context, table, p, s string) (*Row, error) {
	rows, _, err := b.part(ctx, table, p, s, 1, true)
	if err != nil || len(rows) == 0 || rows[0].S != s {
		return nil, err
	}
	return &rows[0], nil
}

// eachRow calls f for all rows of a partition, without bodies, some at a time.
func (b *Backend) eachRow(ctx context.Context, table, p string, f func(rows []Row) error) error {
	for from := ""; ; {
		rows, next, err := b.part(ctx, table, p, from, pageSize, true)
		if err == nil && len(rows) > 0 {
			err = f(rows)
		}
		if err != nil || next == "" {
			return err
		}
		from = next
	}
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values
	}
	return string(text)
}

func decode(r *Row, v any) error {
	if err := json.Unmarshal([]byte(r.Data), v); err != nil {
		return fmt.Errorf("remote: the row %s / %s is damaged or was written by a newer release: %w", r.P, r.S, err)
	}
	return nil
}
