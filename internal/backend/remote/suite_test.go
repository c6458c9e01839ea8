package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/millstreamdb/millstream/internal/admin"
	"github.com/millstreamdb/millstream/internal/arn"
	"github.com/millstreamdb/millstream/internal/backend"
	"github.com/millstreamdb/millstream/internal/seqnum"
	"github.com/millstreamdb/millstream/internal/trigger/backendtest"
	"github.com/millstreamdb/millstream/internal/trigger/lane"
	"github.com/millstreamdb/millstream/internal/trigger/mapping"
)

// What this backend does not do yet, or does in another way, by the beginnings of the cases' names.
var lacking = map[string][]string{
	"a mapping's id is used once":                                           {"a deleted mapping leaves nothing", "what is stored late"},
	"how deep functions cause each other is not on the wire":                {"writes of an answer are made with the position"},
	"records' times are whole seconds on the wire":                          {"records are events"},
	"a definition's function does not change":                               {"an update replaces"},
	"it asks a server for what is durable":                                  {"records outlive", "shards outlive", "definitions and rows outlive", "the items stay", "a commit is there", "a move is there", "writes of an answer are there", "messages of an answer are there"},
	"a server knows that such an id is of no shard":                         {"a shard that is gone has no place"},
	"a shard is gone only once two lists have said so, half a minute apart": {"a shard that is not there has ended"},
	"the test cannot let the server's time pass":                            {"the oldest place of a shard that has lost", "the place of a moment", "a mapping begins at a moment", "what is gone unread", "a range is told once", "who watches", "what was passed is not missing"},
}

// TestSuite runs what every backend is to keep, over a Millstream server.
func TestSuite(t *testing.T) {
	runSuite(t, lacking, newSuiteWorld)
}

func runSuite(t *testing.T, lacking map[string][]string, world func(*testing.T) *suiteWorld) {
	var ran, not int
	for _, c := range backendtest.Cases() {
		why := ""
		for reason, names := range lacking {
			if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(c.Name, n) }) {
				why = reason
			}
		}
		if why != "" { // documented in docs/scale-out.md, and no test that could have run
			not++
			t.Logf("left out, since %s: %s", why, c.Name)
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			ran++
			c.Run(t, world(t))
		})
	}
	if t.Logf("%d cases kept, %d left out", ran, not); ran < 20 {
		t.Error("too few cases are kept: their names may have changed")
	}
}

// suiteWorld is a Millstream server in memory, or another engine.
type suiteWorld struct {
	t      *testing.T
	c      *Client
	admin  *admin.Client
	b      *Backend
	prefix string // of tables' names
	tables int
	sent   []string      // messages, see Sent
	pace   time.Duration // between two writes of a writer

	mu     sync.Mutex
	nth    map[string]int // by stream and key
	claims map[string]*claim
	loaded map[string]bool
	arns   map[string]string // of functions, by mapping
	madeUp map[string]bool   // shards that are nowhere, by mapping
	off    map[string]bool   // streams that were switched off
}

func newSuiteWorld(t *testing.T) *suiteWorld {
	s, err := OpenServer()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		server.Close()
		_ = s.Close()
	})
	return suiteWorldAt(t, server.URL, Options{})
}

// suiteWorldAt is at an endpoint. Its names are those of no other.
func suiteWorldAt(t *testing.T, url string, o Options) *suiteWorld {
	w := &suiteWorld{
		t: t, c: clientOf(url), nth: map[string]int{}, claims: map[string]*claim{}, loaded: map[string]bool{}, arns: map[string]string{}, madeUp: map[string]bool{}, off: map[string]bool{},
		prefix: strings.ToLower(nonce()) + "-",
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	w.c.HTTP = &http.Client{Transport: transport}
	var err error
	w.admin, err = admin.New(admin.Options{Endpoint: url})
	w.check(err)
	if o.Prefix, o.Endpoint = w.prefix, w.c; o.Polled {
		// That a shard has ended is known once its reader is there, which waits with a few megabytes that nobody has asked for: writers are not to be so far ahead.
		w.pace = 5 * time.Millisecond
		o.Endpoint = NewPolled(w.c, 20*time.Millisecond)
	}
	w.b = New(o)
	w.b.deadline.Store(int64(1) << 60)
	w.check(w.c.MakeTables(t.Context(), w.b))
	t.Cleanup(func() {
		w.b.dropAll()
		w.b.work.Wait()
		transport.CloseIdleConnections()
	})
	return w
}

func (w *suiteWorld) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *suiteWorld) call(operation string, out any, format string, args ...any) {
	w.t.Helper()
	_, err := w.c.call(context.Background(), tablesAPI, operation, json.RawMessage(fmt.Sprintf(format, args...)), out, 0)
	w.check(err)
}

func (w *suiteWorld) Stream(shards int) string {
	w.tables++
	var out struct {
		TableDescription struct{ LatestStreamArn string }
	}
	w.call("CreateTable", &out, `{"TableName":"%stable-%d","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"},
		"Tags":[{"Key":"millstream:shards","Value":"%d"}]}`, w.prefix, w.tables, shards)
	return out.TableDescription.LatestStreamArn
}

func (w *suiteWorld) Write(stream string, keys ...int) {
	for _, k := range keys {
		id := fmt.Sprint(stream, "/", k)
		w.mu.Lock()
		w.nth[id]++
		n := w.nth[id]
		w.mu.Unlock()
		w.call("PutItem", &struct{}{}, `{"TableName":%q,"Item":{"pk":{"S":"%d"},"n":{"N":"%d"}}}`, arn.TableOf(stream), k, n)
	}
	if len(keys) == 1 && w.pace > 0 {
		<-time.After(w.pace)
	}
}

func (w *suiteWorld) Item(r lane.Record) (key, nth int) {
	key, nth, err := backendtest.ItemOf(r)
	w.check(err)
	return key, nth
}

func (w *suiteWorld) Stored(stream string, key int) int {
	var out struct {
		Item struct {
			N struct{ N string } `json:"n"`
		}
	}
	w.call("GetItem", &out, `{"TableName":%q,"ConsistentRead":true,"Key":{"pk":{"S":"%d"}}}`, arn.TableOf(stream), key)
	n, _ := strconv.Atoi(out.Item.N.N)
	return n
}

func (w *suiteWorld) Split(stream, shard string) {
	_, err := w.admin.SplitShard(context.Background(), arn.TableOf(stream), shard)
	w.check(err)
}

func (w *suiteWorld) SwitchOff(stream string) {
	w.call("UpdateTable", &struct{}{}, `{"TableName":%q,"StreamSpecification":{"StreamEnabled":false}}`, arn.TableOf(stream))
	w.mu.Lock()
	w.off[stream] = true
	w.mu.Unlock()
}

func (w *suiteWorld) Writes(stream string, key, nth int) []byte {
	return fmt.Appendf(nil, `[{"Put":{"TableName":%q,"Item":{"pk":{"S":"%d"},"n":{"N":"%d"}}}}]`, arn.TableOf(stream), key, nth)
}

func (w *suiteWorld) Refused(stream string) []byte {
	return fmt.Appendf(nil, `[{"Put":{"TableName":%q,"Item":{"pk":{"S":"none"}},"ConditionExpression":"attribute_exists(pk)"}}]`, arn.TableOf(stream))
}

// sqs is the server's own.
func (w *suiteWorld) sqs() *sqs.Client {
	return sqs.New(sqs.Options{BaseEndpoint: &w.c.URL, Region: w.c.Region, Credentials: w.c.Credentials, HTTPClient: w.c.HTTP})
}

func (w *suiteWorld) Sends(bodies ...string) []byte {
	q, err := w.sqs().CreateQueue(context.Background(), &sqs.CreateQueueInput{QueueName: aws.String(w.prefix + "sent")}) // there may be it
	w.check(err)
	return backendtest.Messages(*q.QueueUrl, bodies...)
}

func (w *suiteWorld) Unsendable(body string) []byte {
	return backendtest.AndOne(w.Sends(body), "/000000000000/nowhere")
}

// Sent takes the messages out of the queue.
func (w *suiteWorld) Sent() []string {
	q, err := w.sqs().GetQueueUrl(context.Background(), &sqs.GetQueueUrlInput{QueueName: aws.String(w.prefix + "sent")})
	w.check(err)
	for {
		got, err := w.sqs().ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 43200})
		w.check(err)
		if len(got.Messages) == 0 {
			return slices.Clone(w.sent)
		}
		for _, m := range got.Messages {
			w.sent = append(w.sent, *m.Body)
		}
	}
}

func (w *suiteWorld) Age(string) { panic("left out") }
func (w *suiteWorld) Crash()     { panic("left out") }

// Backend is the one node there is. It claims what it is asked for, and waits until its readers have read what there is at the server: the
// suite reads right behind its writes, where an engine is woken.
func (w *suiteWorld) Backend() backend.Backend { return suiteBackend{w.b, w} }

type suiteBackend struct {
	*Backend
	w *suiteWorld
}

// claim takes a stream, with a mapping that has all of its shards read.
func (s suiteBackend) claim(stream string) *claim {
	w := s.w
	w.mu.Lock()
	c := w.claims[stream]
	if c == nil {
		c = newClaim(s.Backend, stream, 1, 1)
		w.claims[stream] = c
		s.mu.Lock()
		s.claims[stream] = c
		s.mu.Unlock()
		s.work.Go(c.feed.run)
	}
	w.mu.Unlock()
	s.load(c, "reader")
	return c
}

func (s suiteBackend) load(c *claim, uuid string) {
	s.w.mu.Lock()
	loaded := s.w.loaded[c.stream+uuid]
	s.w.loaded[c.stream+uuid] = true
	s.w.mu.Unlock()
	if !loaded {
		_, err := s.Load(context.Background(), c, uuid)
		s.w.check(err)
	}
}

// current waits until everything there is at the server was read.
func (s suiteBackend) current(stream string) {
	c := s.claim(stream)
	woken := make(chan struct{}, 1)
	defer s.Backend.Watch(stream, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})()
	d, err := s.describe(context.Background(), stream)
	for errors.Is(err, context.DeadlineExceeded) { // there are engines that have much to do with many writers
		d, err = s.describe(context.Background(), stream)
	}
	s.w.check(err)
	ends, err := s.beginAt(context.Background(), stream, d.Shards, Latest)
	s.w.check(err)
	heads := map[string]seqnum.Num{}
	for i, sh := range d.Shards {
		heads[sh.ID] = ends[i]
	}
	c.feed.listAgain()
	for {
		shards, err := s.Backend.Shards(context.Background(), stream)
		s.w.check(err)
		behind := slices.ContainsFunc(d.Shards, func(sh DescribedShard) bool {
			s.w.mu.Lock()
			closed := sh.Closed || s.w.off[stream]
			s.w.mu.Unlock()
			closed = closed || slices.ContainsFunc(d.Shards, func(o DescribedShard) bool { return o.Parent == sh.ID }) // a Polled's list does not say so
			c.feed.mu.Lock()
			r := c.feed.readers[sh.ID]
			c.feed.mu.Unlock()
			if r != nil && !r.room() { // it goes on when somebody reads
				return false
			}
			return !slices.ContainsFunc(shards, func(o backend.Shard) bool {
				return o.ID == sh.ID && !o.Head.Less(heads[sh.ID]) && o.Closed == closed
			})
		})
		if !behind {
			return
		}
		select {
		case <-woken:
		case <-time.After(20 * time.Second):
			s.w.t.Fatalf("it has not read what there is: %+v, of %+v", shards, d)
		}
	}
}

func (s suiteBackend) Shards(ctx context.Context, stream string) ([]backend.Shard, error) {
	if _, err := s.describe(ctx, stream); errors.Is(err, ErrGone) {
		return nil, backend.ErrNoStream // nobody claims it
	}
	s.current(stream)
	return s.Backend.Shards(ctx, stream)
}

func (s suiteBackend) Read(ctx context.Context, stream, shard string, after seqnum.Num, maxRecords, maxBytes int) (lane.Page, error) {
	c := s.claim(stream)
	c.feed.mu.Lock()
	r := c.feed.readers[shard]
	c.feed.mu.Unlock()
	if r == nil || !r.has(after) { // else what is asked for was read by now
		s.current(stream)
	}
	return s.Backend.Read(ctx, stream, shard, after, maxRecords, maxBytes)
}

// has reports whether the reader has read a record behind a number, as far as the suite asks for records at once.
func (r *reader) has(after seqnum.Num) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, _ := slices.BinarySearchFunc(r.kept, after.Next(), func(rec *record, n seqnum.Num) int { return rec.seq.Compare(n) })
	return len(r.kept)-i >= 50
}

func (s suiteBackend) Mappings(ctx context.Context) ([]backend.Stored, error) {
	all, err := s.Backend.Mappings(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		rows, err := s.query(ctx, s.progress, checkpointKey(all[i].UUID), "")
		if err != nil {
			return nil, err
		}
		s.w.mu.Lock()
		all[i].FunctionARN = s.w.arns[all[i].UUID]
		s.w.mu.Unlock()
		all[i].Revision, all[i].Checkpoints = 0, map[string]lane.Checkpoint{}
		for _, r := range rows {
			s.w.mu.Lock()
			madeUp := s.w.madeUp[all[i].UUID+r.S]
			s.w.mu.Unlock()
			if madeUp {
				continue
			}
			var at checkpoint
			if err := decode(&r, &at); err != nil {
				return nil, err
			}
			if all[i].Checkpoints[r.S], err = s.whole(ctx, all[i].UUID, at); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// CreateMapping gives each mapping a function of its own: the suite has several for one, which engines do not.
func (s suiteBackend) CreateMapping(ctx context.Context, m mapping.Definition) (map[string]lane.Checkpoint, error) {
	s.w.mu.Lock()
	s.w.arns[m.UUID] = m.FunctionARN
	s.w.mu.Unlock()
	m.FunctionARN += m.UUID
	return s.Backend.CreateMapping(ctx, m)
}

func (s suiteBackend) UpdateMapping(ctx context.Context, m mapping.Definition) error {
	m.Revision = 1
	return s.Backend.UpdateMapping(ctx, m)
}

func (s suiteBackend) Commit(ctx context.Context, rows []backend.Row, aside []backend.AsideRows) error {
	all, err := s.Backend.Mappings(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		var mine []backend.Row
		for _, r := range rows {
			if r.UUID == m.UUID {
				mine = append(mine, r)
			}
		}
		var changes []lane.AsideChange
		for _, a := range aside {
			if a.UUID == m.UUID {
				changes = append(changes, a.Changes...)
			}
		}
		if len(mine)+len(changes) == 0 {
			continue
		}
		s.current(m.StreamARN)
		c := s.claim(m.StreamARN)
		s.load(c, m.UUID)
		for _, ch := range changes { // the suite's records are of shards that are nowhere
			if err := s.makeUp(c, m.UUID, ch.Key.Shard); err != nil {
				return err
			}
		}
		if err := s.Advance(ctx, c, m.UUID, mine, changes); err != nil {
			return err
		}
	}
	return nil
}

// Transact is of the mapping that it has rows of.
func (s suiteBackend) Transact(ctx context.Context, t backend.Transaction) error {
	rows, aside, err := t.Build()
	if err != nil {
		return err
	}
	uuid := rows[0].UUID
	all, err := s.Backend.Mappings(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.UUID == uuid {
			s.current(m.StreamARN)
			c := s.claim(m.StreamARN)
			s.load(c, uuid)
			t.Build = func() ([]backend.Row, []backend.AsideRows, error) { return rows, aside, nil }
			return s.TransactUnder(ctx, c, uuid, t)
		}
	}
	return backend.ErrNoMapping
}

// Reposition is under a claim.
func (s suiteBackend) Reposition(ctx context.Context, r backend.Repositioned) error {
	c := s.claim(r.Mapping.StreamARN)
	s.load(c, r.Mapping.UUID)
	r.Mapping.Revision = 1
	return s.RepositionUnder(ctx, c, r)
}

// makeUp gives a mapping a row of a shard that is nowhere.
func (s suiteBackend) makeUp(c *claim, uuid, shard string) error {
	c.mu.Lock()
	_, has := c.rows[uuid][shard]
	c.mu.Unlock()
	if has {
		return nil
	}
	o, err := c.firstRow(uuid, shardInfo{ID: shard})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.rows[uuid][shard] = o
	c.mu.Unlock()
	s.w.mu.Lock()
	s.w.madeUp[uuid+shard] = true
	s.w.mu.Unlock()
	return nil
}

// A moment is a place in a shard, and where a mapping begins.
func TestThePlaceOfAMoment(t *testing.T) {
	w := newSuiteWorld(t)
	stream := w.Stream(1)
	w.Write(stream, 1, 2)
	at := time.Now().Add(2 * time.Millisecond)
	for !time.Now().After(at) { // for a moment
	}
	w.Write(stream, 3)
	b := w.Backend()
	shards, err := b.Shards(t.Context(), stream)
	w.check(err)
	l, err := b.Locate(t.Context(), stream, shards[0].ID, backend.Place{Time: at})
	if err != nil || l.Ordinal != 2 {
		t.Errorf("%+v, %v", l, err)
	}
	m := simDefinition(stream)
	m.StartAt = at
	rows, err := b.CreateMapping(t.Context(), m)
	if err != nil || rows[shards[0].ID].Low != l.Low {
		t.Errorf("it begins at %+v, %v, want %s", rows, err, l.Low)
	}
}

// A function of a mapping whose writes are made with the position does not write the nodes' own tables with the node's key, however its answer names them.
func TestAFunctionDoesNotWriteTheNodesTables(t *testing.T) {
	w := newSuiteWorld(t)
	stream := w.Stream(1)
	s := suiteBackend{w.b, w}
	m := simDefinition(stream)
	_, err := s.CreateMapping(t.Context(), m)
	w.check(err)
	c := s.claim(stream)
	s.load(c, m.UUID)
	write := func(items string) error {
		return s.TransactUnder(t.Context(), c, m.UUID, backend.Transaction{
			Items: []byte(items), Build: func() ([]backend.Row, []backend.AsideRows, error) { return nil, nil, nil }, Applied: func() {},
		})
	}
	const item = `"Item":{"p":{"S":"planted"},"s":{"S":"planted"},"v":{"N":"1"},"w":{"S":"w"},"data":{"S":"{}"}}`
	for _, items := range []string{
		`[{"Put":{"TableName":"TABLE",` + item + `}}]`,
		`[{"Put":{"TableName":"arn:aws:dynamodb:us-east-1:000000000000:table/TABLE",` + item + `}}]`,
		`[{"Put":{"TableName":"TABLE","tablename":"users",` + item + `}}]`,
		`[{"Put":{"TableName":"users","TableName":"TABLE","TABLENAME":"users",` + item + `}}]`,
		`[{"Put":{"TableN\u0061me":"TABLE","tablename":"users",` + item + `}}]`,
		`[{"Put":{"TableName":"TABLE",` + item + `},"Zz":5}]`,
		`[{"Put":{"TableName":"TABLE",` + item + `},"Zz":[{}]}]`,
		`[{"Put":{"TableName":"TABLE",` + item + `},"Zz":{"TableName":5}}]`,
		`[{"Put":{"TableName":"TABLE",` + item + `},"put":{"TableName":"users"}}]`,
	} {
		for _, table := range []string{w.b.control, w.b.progress, w.b.bell} {
			err := write(strings.ReplaceAll(items, "TABLE", table))
			if _, refused := errors.AsType[*backend.Refused](err); !refused {
				t.Errorf("%s: %v, want a refusal", strings.ReplaceAll(items, "TABLE", table), err)
			}
			if rows, err := w.b.query(t.Context(), table, "planted", ""); err != nil || len(rows) > 0 {
				t.Errorf("%s: %s was written: %v, %v", items, table, rows, err)
				w.check(w.b.remove(t.Context(), table, "planted", "planted"))
			}
		}
	}
	if err := write(string(w.Writes(stream, 1, 1))); err != nil {
		t.Errorf("a table of its own: %v", err)
	}
}

// A position that is not there any more is that of a mapping which was deleted, or somebody has removed rows: then the stream is begun anew, and the log says so.
func TestAPositionThatIsGone(t *testing.T) {
	for _, deleted := range []bool{false, true} {
		w := newSuiteWorld(t)
		s, m, c := w.claimed(t, w.c)
		var said bytes.Buffer
		w.b.o.Log = slog.New(slog.NewTextHandler(&said, nil))
		row, err := w.b.get(t.Context(), w.b.control, definitionKey, mappingPrefix+m.UUID)
		w.check(err)
		rows, err := w.b.query(t.Context(), w.b.progress, checkpointKey(m.UUID), "")
		if w.check(err); len(rows) != 1 {
			t.Fatalf("%d positions", len(rows))
		}
		w.check(w.b.remove(t.Context(), w.b.progress, rows[0].P, rows[0].S))
		if deleted {
			_, err := w.b.put(t.Context(), w.b.control, Row{P: row.P, S: row.S, Data: encode(definitionRow{Deleted: true})}, row.V)
			w.check(err)
		}
		stores := []backend.Row{{UUID: m.UUID, Shard: rows[0].S, Checkpoint: lane.Checkpoint{Generation: 1}}}
		if err := s.Advance(t.Context(), c, m.UUID, stores, nil); !errors.Is(err, backend.ErrLost) {
			t.Errorf("deleted %t: %v", deleted, err)
		}
		if c.Valid() != deleted || strings.Contains(said.String(), "its mapping is not") == deleted {
			t.Errorf("deleted %t: the claim is good: %t, the log says %s", deleted, c.Valid(), said.String())
		}
		if deleted {
			continue
		}
		next := newClaim(w.b, m.StreamARN, 2, 2)
		w.b.work.Go(next.feed.run)
		if at, err := s.Load(t.Context(), next, m.UUID); err != nil || len(at) != 1 {
			t.Errorf("the next claim has %v, %v", at, err)
		}
		next.lose()
	}
}

// unanswered is an endpoint that loses the answer of the next transaction.
type unanswered struct {
	Endpoint
	next bool
}

func (e *unanswered) Transact(ctx context.Context, items []json.RawMessage, rows []Written) error {
	if e.next {
		e.next = false
		return errNetwork
	}
	return e.Endpoint.Transact(ctx, items, rows)
}

// claimed has a mapping on a stream of its own over an endpoint, and the claim by which it runs.
func (w *suiteWorld) claimed(t *testing.T, e Endpoint) (suiteBackend, mapping.Definition, *claim) {
	w.b = New(Options{Endpoint: e, Prefix: w.prefix})
	w.b.deadline.Store(int64(1) << 60)
	stream := w.Stream(1)
	s := suiteBackend{w.b, w}
	m := simDefinition(stream)
	_, err := s.CreateMapping(t.Context(), m)
	w.check(err)
	c := s.claim(stream)
	s.load(c, m.UUID)
	return s, m, c
}

// A transaction that is refused leaves nothing of its window, unless some try of it may still be applied.
func TestARefusedTransactionLeavesNoWindow(t *testing.T) {
	w := newSuiteWorld(t)
	e := &unanswered{Endpoint: w.c}
	s, m, c := w.claimed(t, e)
	stream := m.StreamARN
	write := func(items []byte, windows bool) error {
		return s.TransactUnder(t.Context(), c, m.UUID, backend.Transaction{
			Items: items, Applied: func() {}, Build: func() (rows []backend.Row, _ []backend.AsideRows, _ error) {
				for shard, o := range c.rows[m.UUID] {
					r := backend.Row{UUID: m.UUID, Shard: shard}
					var err error
					r.Checkpoint, err = o.at.lane()
					w.check(err)
					r.Window = &lane.Window{Start: 1, End: 2, State: make([]byte, windowPiece+1)}
					rows = append(rows, r)
				}
				if !windows {
					rows = nil
				}
				return rows, nil, nil
			},
		})
	}
	refused := func(items []byte, windows bool, left int) {
		t.Helper()
		if _, is := errors.AsType[*backend.Refused](write(items, windows)); !is {
			t.Errorf("%.80s is not refused", items)
		}
		rows, err := w.b.query(t.Context(), w.b.progress, windowPartition(m.UUID), "")
		if w.check(err); len(rows) != left {
			t.Errorf("%d pieces are left, want %d", len(rows), left)
		}
	}
	one := string(w.Writes(stream, 7, 1))
	many := []byte("[" + strings.Repeat(one[1:len(one)-1]+",", maxItems-1) + one[1:])
	for _, left := range []int{0, 2} { // without a window before, and with one
		refused(w.Refused(stream), true, left)
		refused([]byte(`[{"Put":{"TableName":"nowhere","Item":{"pk":{"S":"1"}}}}]`), true, left)
		refused(many, true, left)
		refused(w.Refused(stream), false, left)
		if left == 0 {
			w.check(write(w.Writes(stream, 1, 1), true))
		}
	}
	for _, o := range c.rows[m.UUID] {
		if win, err := w.b.windowOf(t.Context(), m.UUID, o.at.Window); err != nil || len(win.State) != windowPiece+1 {
			t.Errorf("the window that is stored is %+v, %v", o.at.Window, err)
		}
	}
	e.next = true
	refused(w.Refused(stream), true, 4)
}

// A record is the same event as the server's own functions get.
func TestEventsAreTheSame(t *testing.T) {
	s, err := OpenServer()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	c := clientOf(server.URL)
	ctx := t.Context()
	var made struct {
		TableDescription struct{ LatestStreamArn string }
	}
	ask := func(operation, in string, out any) {
		t.Helper()
		if _, err := c.call(ctx, tablesAPI, operation, json.RawMessage(in), out, 0); err != nil {
			t.Fatal(err)
		}
	}
	ask("CreateTable", `{"TableName":"tab","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"n","AttributeType":"N"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"n","KeyType":"RANGE"}],"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}}`, &made)
	events := make(chan []byte, 10)
	if err := s.RegisterFunction("f", func(_ context.Context, event []byte) ([]byte, error) {
		events <- event
		return nil, nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := lambda.NewFromConfig(s.Config()).CreateEventSourceMapping(ctx, &lambda.CreateEventSourceMappingInput{
		FunctionName: aws.String("f"), EventSourceArn: &made.TableDescription.LatestStreamArn, StartingPosition: types.EventSourcePositionTrimHorizon, BatchSize: aws.Int32(1),
	}); err != nil {
		t.Fatal(err)
	}
	ask("PutItem", `{"TableName":"tab","Item":{"pk":{"S":"ä\"<\u2028"},"n":{"N":"1.50"},"b":{"B":"AAEC"},"l":{"L":[{"NULL":true},{"M":{"x":{"SS":["b","a"]}}}]}}}`, &struct{}{})
	ask("PutItem", `{"TableName":"tab","Item":{"pk":{"S":"ä\"<\u2028"},"n":{"N":"1.5"}}}`, &struct{}{})
	ask("DeleteItem", `{"TableName":"tab","Key":{"pk":{"S":"ä\"<\u2028"},"n":{"N":"1.5"}}}`, &struct{}{})
	d, err := c.Describe(ctx, made.TableDescription.LatestStreamArn)
	if err != nil {
		t.Fatal(err)
	}
	iterator, err := c.Iterator(ctx, made.TableDescription.LatestStreamArn, d.Shards[0].ID, TrimHorizon)
	if err != nil {
		t.Fatal(err)
	}
	page, err := c.Records(ctx, iterator, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, records, err := parse(page, made.TableDescription.LatestStreamArn)
	if err != nil || len(records) != 3 {
		t.Fatal(len(records), err)
	}
	for i, rec := range records {
		if got, want := `{"Records":[`+string(rec.Event())+`]}`, string(<-events); got != want {
			t.Errorf("record %d:\n%s\nwant\n%s", i, got, want)
		}
		if rec.hash != records[0].hash {
			t.Error("one item has two hashes")
		}
	}
}
