package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/backend/local"
	"github.com/millstreamdb/millstream/internal/queue"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
	"github.com/millstreamdb/millstream/internal/trigger"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
	"github.com/millstreamdb/millstream/internal/worker"
)

var scope = schema.Scope{Account: "000000000000", Region: "us-east-1"}

// commitInterval is how long the engine collects progress (P4: redelivered is only
// what ended less than this before a crash).
const commitInterval = 5 * time.Millisecond

// loop is one opening of a database with everything on it.
type loop struct {
	disk    *crashtest.Disk
	store   *store.Store
	streams *stream.Streams
	db      *table.DB
	queues  *queue.Service
	backend *local.Backend
	engine  *trigger.Engine

	cancel context.CancelFunc
	ran    chan error
}

// openLoop opens a disk. wrap, if not nil, stands between the engine and its
// backend. The engine delivers after run.
func openLoop(disk *crashtest.Disk, d store.Durability, invoker trigger.Invoker, wrap func(*local.Backend) backend.Backend) (*loop, error) {
	l := &loop{disk: disk}
	var err error
	// A small cache: opening one costs more than all else here.
	if l.store, err = store.Open(store.Options{FS: disk.FS(), Dir: "data", Durability: d, CacheBytes: 1 << 20}); err != nil {
		return nil, err
	}
	if l.streams, err = stream.Open(l.store, time.Now); err != nil {
		return nil, errors.Join(err, l.store.Close())
	}
	quiet := slog.New(slog.DiscardHandler)
	if l.db, err = table.Open(table.Options{Store: l.store, Streams: l.streams, Logger: quiet}); err != nil {
		return nil, errors.Join(err, l.store.Close())
	}
	if l.queues, err = queue.Open(queue.Options{Store: l.store, Clock: worker.NewClock(time.Now)}); err != nil {
		return nil, errors.Join(err, l.store.Close())
	}
	if l.backend, err = local.Open(l.store, l.streams, l.db, l.queues, quiet); err != nil {
		return nil, errors.Join(err, l.store.Close())
	}
	var backend backend.Backend = l.backend
	if wrap != nil {
		backend = wrap(l.backend)
	}
	l.engine, err = trigger.New(context.Background(), trigger.Options{
		Backend: backend, Invoker: invoker, Destination: nowhere{}, Here: l.queues.Has, Log: quiet, CommitInterval: commitInterval,
	})
	if err != nil {
		return nil, errors.Join(err, l.store.Close())
	}
	return l, nil
}

// nowhere is for destinations that are not here.
type nowhere struct{}

func (nowhere) Deliver(context.Context, string, string, string, []byte) error {
	return errors.New("there is no such destination")
}

func (l *loop) run() {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel, l.ran = cancel, make(chan error, 1)
	go func() { l.ran <- l.engine.Run(ctx) }()
	<-l.engine.Ready()
}

// close ends the engine, if it runs, and closes the store.
func (l *loop) close() error {
	var err error
	if l.cancel != nil {
		l.cancel()
		err = <-l.ran
	}
	l.queues.Close()
	return errors.Join(err, l.backend.Close(), l.store.Close())
}

// do runs one operation from its JSON, as the door would.
func do[Q, A any](decode func([]byte) (*Q, error), op func(context.Context, schema.Scope, *Q) (*A, error), format string, args ...any) (*A, error) {
	q, err := decode(fmt.Appendf(nil, format, args...))
	if err != nil {
		return nil, err
	}
	return op(context.Background(), scope, q)
}

// createTable makes a table with a stream and returns the stream's ARN.
func (l *loop) createTable(name string, shards int) (string, error) {
	_, err := do(request.DecodeCreateTable, l.db.CreateTable, `{"TableName":%q,"BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
		"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"},
		"Tags":[{"Key":"millstream:shards","Value":"%d"}]}`, name, shards)
	return l.db.LatestStream(scope, name), err
}

// put writes an item of one attribute beside its key.
func (l *loop) put(table, key, value string) error {
	_, err := do(request.DecodePutItem, l.db.PutItem, `{"TableName":%q,"Item":{"pk":{"S":%q},"w":{"S":%q}}}`, table, key, value)
	return err
}

// create makes a mapping. onFailure is the tag millstream:on-failure; empty for none.
func (l *loop) create(arn, function string, start mapping.StartingPosition, s mapping.Settings, onFailure string) (mapping.View, error) {
	s.FunctionName = &function
	r := mapping.CreateRequest{Settings: s, EventSourceArn: &arn, StartingPosition: new(string(start))}
	if onFailure != "" {
		r.Tags = map[string]string{"millstream:on-failure": onFailure}
	}
	return l.engine.Create(context.Background(), scope, r)
}

// logged is one record of the log.
type logged struct {
	table  string
	shard  string
	place  int // in the shard
	nth    int // of its key
	rec    *stream.Record
	id     string // eventID
	key    string
	w, old string // the values of the images, empty when there is none
}

// readLog returns every durable record of the streams, by table and shard.
func (l *loop) readLog(arns []string) ([]*logged, error) {
	var all []*logged
	for _, arn := range arns {
		s := l.streams.Get(arn)
		if s == nil {
			return nil, fmt.Errorf("%w: stream %s", errLost, arn)
		}
		nth := map[string]int{}
		for _, sh := range s.Shards() {
			place := 0
			for after := sh.Horizon(); ; {
				page, err := sh.Read(after, 100, 1<<20, func(*stream.Record) int { return 1 })
				if err != nil {
					return nil, err
				}
				if len(page.Records) == 0 {
					break
				}
				for _, r := range page.Records {
					if !after.Less(r.Seq()) {
						return nil, fmt.Errorf("P2: number %s follows %s", r.Seq(), after)
					}
					after = r.Seq()
					e := &logged{table: s.Table, shard: sh.ID, place: place, rec: r, key: r.Keys().Get("pk").Text()}
					d, err := parseEvents(r.Event(), false)
					if err != nil {
						return nil, err
					}
					e.id, e.w, e.old = d[0].ID, d[0].Body.New.W.S, d[0].Body.Old.W.S
					e.nth = nth[e.key]
					nth[e.key]++
					place++
					all = append(all, e)
				}
			}
		}
	}
	return all, nil
}
