package keep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millstreamdb/millstream/internal/awserr"
	"github.com/millstreamdb/millstream/internal/export"
	"github.com/millstreamdb/millstream/internal/item"
	"github.com/millstreamdb/millstream/internal/request"
	"github.com/millstreamdb/millstream/internal/schema"
	"github.com/millstreamdb/millstream/internal/store"
	"github.com/millstreamdb/millstream/internal/store/crashtest"
	"github.com/millstreamdb/millstream/internal/stream"
	"github.com/millstreamdb/millstream/internal/table"
)

// past is a database whose tables change at random, with a copy of each table kept at each moment.
type past struct {
	t      testing.TB
	rng    *rand.Rand
	disk   *crashtest.Disk
	step   atomic.Int64 // by how much the clock has been set
	store  *store.Store
	db     *table.DB
	s      *Service
	stop   func()
	log    bytes.Buffer
	bucket map[string][]byte
	count  int
	copies map[string]*history  // of the tables that there are
	gone   map[string]*moment   // what tables were when they were deleted, by the ARN of their backup
	asked  map[string]*question // restores under way, by the new table's name
	errs   []error
	done   int // moments that were compared
}

// history is what one table was.
type history struct {
	recovering bool
	moments    []*moment
}

type moment struct {
	at    time.Time
	items map[string]string
}

type question struct {
	want   *moment
	export string // the ARN; empty: it is a restore
}

func (p *past) now() time.Time { return time.Now().Add(time.Duration(p.step.Load())) }

func (p *past) open() {
	p.t.Helper()
	var err error
	if p.store, err = store.Open(store.Options{FS: p.disk.FS(), Dir: "data"}); err != nil {
		p.t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(&p.log, nil))
	streams, err := stream.Open(p.store, p.now)
	if err == nil {
		p.db, err = table.Open(table.Options{Store: p.store, Streams: streams, Now: p.now, Logger: logger})
	}
	if err == nil {
		p.s, err = Open(Options{Store: p.store, Tables: p.db, Buckets: (*pastBuckets)(p), Now: p.now, Believed: streams.Clock().Believed, Logger: logger})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	workers := []func() error{
		func() error { return p.s.RunLoads(ctx) }, func() error { return p.s.RunSaves(ctx) },
		func() error { return p.db.SweepTimeToLive(ctx, logger) }, func() error { return p.db.Fill(ctx) },
		func() error { return p.db.RetainRecovery(ctx, table.Recovering{Log: logger, Each: p.s.Expire}) },
	}
	for _, w := range workers {
		go func() { ended <- w() }()
	}
	p.stop = func() {
		cancel()
		for range workers {
			if err := <-ended; err != nil {
				p.t.Error(err)
			}
		}
	}
}

// crash goes on with the disk as a crash of the machine leaves it.
func (p *past) crash() {
	left := p.disk.Clone(p.rng.Uint64())
	p.stop()
	if err := p.store.Close(); err != nil {
		p.t.Fatal(err)
	}
	p.disk = left
	p.open()
}

type pastBuckets past

func (f *pastBuckets) Exists(string, string) (bool, error) { return true, nil }
func (f *pastBuckets) Put(_, key string, content []byte) error {
	f.bucket[key] = bytes.Clone(content)
	return nil
}
func (f *pastBuckets) Open(_, key string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(f.bucket[key])), nil
}
func (f *pastBuckets) Keys(_, prefix string) ([]string, error) { return nil, nil }

func ask[Q, A any](p *past, decode func([]byte) (*Q, error), do func(context.Context, schema.Scope, *Q) (*A, error), body string) (*A, error) {
	p.t.Helper()
	q, err := decode([]byte(body))
	if err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	return do(context.Background(), scope, q)
}

func must[Q, A any](p *past, decode func([]byte) (*Q, error), do func(context.Context, schema.Scope, *Q) (*A, error), body string) *A {
	p.t.Helper()
	a, err := ask(p, decode, do, body)
	if err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	return a
}

// scan is what a table is, as texts by key.
func (p *past) scan(name string) map[string]string {
	p.t.Helper()
	items := map[string]string{}
	from := ""
	for {
		r := must(p, request.DecodeScan, p.db.Scan, `{"TableName":"`+name+`","ConsistentRead":true`+from+`}`)
		for _, it := range r.Items {
			items[it.Get("pk").Text()] = string(it.AppendJSON(nil))
		}
		if r.LastEvaluatedKey == nil {
			return items
		}
		from = `,"ExclusiveStartKey":` + string(r.LastEvaluatedKey.AppendJSON(nil))
	}
}

// look keeps a copy of every table, with the moment.
func (p *past) look() {
	for name, h := range p.copies {
		c := must(p, request.DecodeDescribeContinuousBackups, p.db.DescribeContinuousBackups, `{"TableName":"`+name+`"}`)
		if c.Enabled != h.recovering {
			p.t.Fatalf("%s: %+v", name, c)
		}
		if !c.Enabled {
			continue
		}
		if n := len(h.moments); n > 0 && h.moments[n-1].at.Equal(c.Latest) { // the clock went back, and nothing changed
			continue
		}
		h.moments = append(h.moments, &moment{at: c.Latest, items: p.scan(name)})
	}
}

var pastNames = []string{"one", "two", "three"}

func (p *past) create(name string) {
	shards := 1 + p.rng.IntN(3)
	view := ""
	if p.rng.IntN(2) == 0 {
		view = `,"StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}`
	}
	must(p, request.DecodeCreateTable, p.db.CreateTable, fmt.Sprintf(`{"TableName":%q,"BillingMode":"PAY_PER_REQUEST","KeySchema":[{"AttributeName":"pk","KeyType":"HASH"}],
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"v","AttributeType":"S"}],
		"GlobalSecondaryIndexes":[{"IndexName":"byv","KeySchema":[{"AttributeName":"v","KeyType":"HASH"}],"Projection":{"ProjectionType":"ALL"}}],
		"Tags":[{"Key":"millstream:shards","Value":"%d"}]%s}`, name, shards, view))
	must(p, request.DecodeUpdateTimeToLive, p.db.UpdateTimeToLive, `{"TableName":"`+name+`","TimeToLiveSpecification":{"Enabled":true,"AttributeName":"until"}}`)
	p.copies[name] = &history{}
}

// some returns a table that there is; empty: there is none.
func (p *past) some() string {
	names := slices.Sorted(maps.Keys(p.copies))
	if len(names) == 0 {
		return ""
	}
	return names[p.rng.IntN(len(names))]
}

func (p *past) key() string { return fmt.Sprintf("k%d", p.rng.IntN(12)) }

func (p *past) item() string {
	p.count++
	until := ""
	if p.rng.IntN(4) == 0 {
		until = fmt.Sprintf(`,"until":{"N":"%d"}`, p.now().Unix()+p.rng.Int64N(7200))
	}
	text := strings.Repeat("words ", 20*p.rng.IntN(3)) // of items that are large, less than all is kept of a change
	return fmt.Sprintf(`{"pk":{"S":%q},"v":{"S":"v%d"},"text":{"S":%q},"n":{"N":"%d"}%s}`, p.key(), p.rng.IntN(3), text, p.count, until)
}

// act does something, and keeps what came of it.
func (p *past) act() {
	name := p.some()
	if name == "" {
		p.create(pastNames[p.rng.IntN(len(pastNames))])
		return
	}
	h := p.copies[name]
	switch n := p.rng.IntN(100); {
	case n < 30:
		must(p, request.DecodePutItem, p.db.PutItem, `{"TableName":"`+name+`","Item":`+p.item()+`}`)
	case n < 45:
		must(p, request.DecodeUpdateItem, p.db.UpdateItem, fmt.Sprintf(`{"TableName":%q,"Key":{"pk":{"S":%q}},"UpdateExpression":"ADD n :one","ExpressionAttributeValues":{":one":{"N":"1"}}}`, name, p.key()))
	case n < 58:
		must(p, request.DecodeDeleteItem, p.db.DeleteItem, fmt.Sprintf(`{"TableName":%q,"Key":{"pk":{"S":%q}}}`, name, p.key()))
	case n < 68: // over two tables, or two items of one
		other := p.some()
		_, err := ask(p, request.DecodeTransactWriteItems, p.db.TransactWriteItems, fmt.Sprintf(`{"TransactItems":[{"Put":{"TableName":%q,"Item":%s}},{"Delete":{"TableName":%q,"Key":{"pk":{"S":%q}}}}]}`, name, p.item(), other, p.key()))
		if e, ok := errors.AsType[*awserr.Error](err); err != nil && (!ok || e.Code != "ValidationException") { // twice the same item
			p.t.Fatal(err)
		}
	case n < 75:
		puts := map[string]string{}
		for range 5 {
			it := p.item()
			key, _, _ := strings.Cut(it[len(`{"pk":{"S":"`):], `"`)
			puts[key] = `{"PutRequest":{"Item":` + it + `}}`
		}
		must(p, request.DecodeBatchWriteItem, p.db.BatchWriteItem, `{"RequestItems":{"`+name+`":[`+strings.Join(slices.Sorted(maps.Values(puts)), ",")+`]}}`)
	case n < 79:
		into := 1 + p.rng.IntN(12)
		if _, err := p.db.SplitShards(context.Background(), scope, name, "", into); err != nil && !strings.Contains(err.Error(), "never merged") {
			p.t.Fatal(err)
		}
	case n < 83:
		if len(p.copies) < len(pastNames) {
			for _, other := range pastNames {
				if p.copies[other] == nil {
					p.create(other)
					return
				}
			}
		}
	case n < 91:
		days := 1 + p.rng.IntN(3)
		must(p, request.DecodeUpdateContinuousBackups, p.db.UpdateContinuousBackups, fmt.Sprintf(`{"TableName":%q,"PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":true,"RecoveryPeriodInDays":%d}}`, name, days))
		h.recovering = true
	case n < 92:
		must(p, request.DecodeUpdateContinuousBackups, p.db.UpdateContinuousBackups, `{"TableName":"`+name+`","PointInTimeRecoverySpecification":{"PointInTimeRecoveryEnabled":false}}`)
		*h = history{}
	case n < 94:
		last, before := &moment{items: p.scan(name)}, map[string]bool{}
		list := func() []*Backup {
			return must(p, request.DecodeListBackups, p.s.ListBackups, `{"TableName":"`+name+`","BackupType":"SYSTEM"}`).Backups
		}
		for _, b := range list() {
			before[b.ARN] = true
		}
		must(p, request.DecodeDeleteTable, p.db.DeleteTable, `{"TableName":"`+name+`"}`)
		for _, b := range list() {
			if !before[b.ARN] {
				p.gone[b.ARN] = last
				h.recovering = false
			}
		}
		if h.recovering {
			p.errs = append(p.errs, errors.New("a table was deleted without a backup"))
		}
		delete(p.copies, name)
	case n < 96:
		p.step.Add(int64(time.Duration(p.rng.IntN(240)-120) * time.Second)) // the clock is set
	case n < 98:
		p.crash()
	}
}

// question asks for a moment of a table, and checks what is refused.
func (p *past) question() {
	name := p.some()
	if name == "" || len(p.asked) > 5 {
		return
	}
	h := p.copies[name]
	if len(h.moments) == 0 {
		return
	}
	want := h.moments[p.rng.IntN(len(h.moments))]
	p.count++
	to, at := fmt.Sprintf("restored-%d", p.count), strconv.FormatFloat(float64(want.at.UnixMilli())/1000, 'f', 3, 64)
	c := must(p, request.DecodeDescribeContinuousBackups, p.db.DescribeContinuousBackups, `{"TableName":"`+name+`"}`)
	if p.rng.IntN(3) == 0 {
		e, err := ask(p, request.DecodeExportTableToPointInTime, p.s.ExportTableToPointInTime, `{"TableArn":"`+scope.TableARN(name)+`","S3Bucket":"bucket","ExportTime":`+at+`}`)
		if p.refused(err, "InvalidExportTimeException", want, c) {
			return
		}
		p.asked[to] = &question{want, e.ARN}
		return
	}
	_, err := ask(p, request.DecodeRestoreTableToPointInTime, p.s.RestoreTableToPointInTime, fmt.Sprintf(`{"SourceTableName":%q,"TargetTableName":%q,"RestoreDateTime":%s}`, name, to, at))
	if !p.refused(err, "InvalidRestoreTimeException", want, c) {
		p.asked[to] = &question{want: want}
	}
}

// refused reports whether a moment is refused, as what is not kept any more is.
func (p *past) refused(err error, code string, want *moment, c *table.ContinuousBackups) bool {
	p.t.Helper()
	e, ok := errors.AsType[*awserr.Error](err)
	if old := want.at.Before(c.Earliest); err != nil && (!ok || e.Code != code || !old) || err == nil && old {
		p.t.Fatalf("the moment %s, of those from %s: %v", want.at, c.Earliest, err)
	}
	return err != nil
}

// answers compares what has been restored by now.
func (p *past) answers() {
	for to, q := range p.asked {
		var items map[string]string
		if q.export != "" {
			e := must(p, request.DecodeDescribeExport, p.s.DescribeExport, `{"ExportArn":"`+q.export+`"}`)
			if e.Status == InProgress {
				continue
			}
			if e.Status != Completed {
				p.errs = append(p.errs, fmt.Errorf("%s: %+v", to, e))
				delete(p.asked, to)
				continue
			}
			items = p.exported(e)
		} else {
			d, err := ask(p, request.DecodeDescribeTable, p.db.DescribeTable, `{"TableName":"`+to+`"}`)
			if err != nil { // it failed
				p.errs = append(p.errs, fmt.Errorf("%s: %w", to, err))
				delete(p.asked, to)
				continue
			}
			if d.Status == "CREATING" {
				continue
			}
			if d.ItemCount != int64(len(q.want.items)) || d.Global[0].ItemCount > d.ItemCount {
				p.errs = append(p.errs, fmt.Errorf("%s counts %d items of %d", to, d.ItemCount, len(q.want.items)))
			}
			items = p.scan(to)
			must(p, request.DecodeDeleteTable, p.db.DeleteTable, `{"TableName":"`+to+`"}`)
		}
		delete(p.asked, to)
		p.done++
		if !maps.Equal(items, q.want.items) {
			p.errs = append(p.errs, fmt.Errorf("%w at %s (export: %v):\n%v\nand not\n%v", errPast, q.want.at, q.export != "", items, q.want.items))
		}
	}
	for arn, want := range p.gone {
		b := must(p, request.DecodeDescribeBackup, p.s.DescribeBackup, `{"BackupArn":"`+arn+`"}`)
		if b.Status != Available {
			continue
		}
		files, err := b.files(p.s.files(b.ID))
		items := map[string]string{}
		for _, f := range files {
			err = errors.Join(err, b.read(p.s.files(b.ID), f, func(it item.Item) error {
				items[it.Get("pk").Text()] = string(it.AppendJSON(nil))
				return nil
			}))
		}
		if err != nil || b.Type() != SystemBackup || !maps.Equal(items, want.items) {
			p.errs = append(p.errs, fmt.Errorf("%w in the backup of a deleted table: %v\n%v\nand not\n%v", errPast, err, items, want.items))
		}
		delete(p.gone, arn)
	}
}

var errPast = errors.New("the past is not what it was")

func (p *past) exported(e *Export) map[string]string {
	p.t.Helper()
	items := map[string]string{}
	manifest, err := export.ParseManifest(p.bucket[export.Folder(e.Request.Prefix, e.ID)+export.FilesJSON])
	for _, f := range manifest {
		src := export.Source{Format: "DYNAMODB_JSON", Compression: "GZIP"}
		_, e := src.Read(bytes.NewReader(p.bucket[f.Key]), func(it item.Item) error {
			items[it.Get("pk").Text()] = string(it.AppendJSON(nil))
			return nil
		})
		err = errors.Join(err, e)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return items
}

// pastRound has tables change, and asks what they were until so many moments have been compared.
func pastRound(t testing.TB, seed uint64, moments int) (int, error) {
	p := &past{
		t: t, rng: rand.New(rand.NewPCG(seed, 7)), disk: crashtest.New(), bucket: map[string][]byte{},
		copies: map[string]*history{}, gone: map[string]*moment{}, asked: map[string]*question{},
	}
	p.open()
	ended := false
	end := func() {
		if !ended {
			ended = true
			p.stop()
			if err := p.store.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	defer end()
	for p.done < moments && len(p.errs) == 0 {
		p.act()
		p.look()
		if p.rng.IntN(4) == 0 {
			p.question()
		}
		wait := time.Duration(1+p.rng.IntN(20)) * time.Millisecond
		if p.rng.IntN(10) == 0 {
			wait = time.Duration(p.rng.IntN(120*60*1000)) * time.Millisecond
		}
		if time.Sleep(wait); time.Now().UnixMilli()%1000 < 2 { // what expires does so at the second
			time.Sleep(3 * time.Millisecond)
		}
		p.answers()
	}
	for range 200 {
		if len(p.asked)+len(p.gone) > 0 && len(p.errs) == 0 {
			time.Sleep(time.Second)
			p.answers()
		}
	}
	if len(p.asked)+len(p.gone) > 0 && len(p.errs) == 0 {
		p.errs = append(p.errs, fmt.Errorf("%d restores and %d backups never ended: %s", len(p.asked), len(p.gone), p.log.String()))
	}
	if len(p.errs) == 0 {
		p.errs = append(p.errs, p.leftovers())
	}
	end()
	if strings.Contains(p.log.String(), "restore failed") {
		p.errs = append(p.errs, errors.New(p.log.String()))
	}
	return p.done, errors.Join(p.errs...)
}

// leftovers finds what nobody needs any more: of work that has ended, and of logs.
func (p *past) leftovers() error {
	names, err := p.store.FrozenNames()
	if err != nil || len(names) > 0 {
		return fmt.Errorf("frozen: %q, %w", names, err)
	}
	logs := map[uint64]bool{}
	for _, space := range []byte{store.SpacePast, store.SpaceUndo} {
		err = errors.Join(err, p.store.Each([]byte{space}, func(key, _ []byte) error {
			if space == store.SpacePast {
				return fmt.Errorf("a row of work that has ended: %x", key)
			}
			logs[uint64(key[8])|uint64(key[7])<<8] = true
			return nil
		}))
	}
	on := 0
	for _, h := range p.copies {
		if h.recovering {
			on++
		}
	}
	if len(logs) > on {
		return fmt.Errorf("%d logs of %d tables", len(logs), on)
	}
	return err
}

// TestMomentsOutsideAreToldInSeconds that hold: what a refusal names as the first moment can be restored.
func TestMomentsOutsideAreToldInSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.close()
		time.Sleep(500 * time.Millisecond)
		w.recovering(1)
		time.Sleep(time.Minute)
		restore := func(at string) error {
			_, err := w.s.RestoreTableToPointInTime(t.Context(), scope, decoded(w, request.DecodeRestoreTableToPointInTime, `{"SourceTableName":"tab","TargetTableName":"copy","RestoreDateTime":`+at+`}`))
			return err
		}
		err := restore("1")
		_, first, _ := strings.Cut(fmt.Sprint(err), "EarliestRestorableDateTime '")
		first, _, _ = strings.Cut(first, "'")
		at, e := time.Parse(time.RFC3339, first)
		if e != nil {
			t.Fatal(err, e)
		}
		if err := restore(strconv.FormatInt(at.Unix(), 10)); err != nil {
			t.Error(err)
		}
	})
}

// TestRestoreGoesOnElsewhere: a folder that was promoted, or restored from the chain, has not what was kept for a restore to a moment. It is kept
// anew while the log reaches back; else the restore fails, and says why.
func TestRestoreGoesOnElsewhere(t *testing.T) {
	for _, reaches := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			defer func() { w.close() }()
			w.recovering(10)
			time.Sleep(time.Second)
			at := time.Now()
			time.Sleep(time.Second)
			if _, err := w.s.RestoreTableToPointInTime(t.Context(), scope, decoded(w, request.DecodeRestoreTableToPointInTime,
				fmt.Sprintf(`{"SourceTableName":"tab","TargetTableName":"copy","RestoreDateTime":%.3f}`, float64(at.UnixMilli())/1000))); err != nil {
				t.Fatal(err)
			}
			names, err := w.store.FrozenNames()
			if err != nil || len(names) != 1 {
				t.Fatal(names, err)
			}
			if err := w.store.Thaw(names[0]); err != nil {
				t.Fatal(err)
			}
			w.close()
			w.openAgain()
			if _, err := w.db.PutItem(t.Context(), scope, decoded(w, request.DecodePutItem, `{"TableName":"tab","Item":{"pk":{"S":"later"}}}`)); err != nil {
				t.Fatal(err)
			}
			if !reaches {
				err = w.recover(false)
			}
			if err != nil {
				t.Fatal(err)
			}
			stop := w.run(w.s.RunLoads)
			time.Sleep(time.Minute)
			d, err := w.db.DescribeTable(t.Context(), scope, decoded(w, request.DecodeDescribeTable, `{"TableName":"copy"}`))
			if reaches && (err != nil || d.Status != "ACTIVE" || d.ItemCount != 10) {
				t.Errorf("%+v, %v: %s", d, err, w.log.String())
			}
			if !reaches && (err == nil || !strings.Contains(w.log.String(), "does not reach back to the moment")) {
				t.Errorf("%+v: %s", d, w.log.String())
			}
			if names, err := w.store.FrozenNames(); err != nil || len(names) > 0 {
				t.Error(names, err)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRowsOfThePastHaveAVersion: a release from before point-in-time recovery refuses them.
func TestRowsOfThePastHaveAVersion(t *testing.T) {
	for v, want := range map[any]byte{
		&Backup{}: 1, &Backup{ExpiresMS: 1}: 2, &Export{Status: InProgress}: 1, &Export{Status: InProgress, PastMS: 1}: 2, &Import{}: 1, &restore{}: 1, &restore{ID: "id"}: 2,
	} {
		if is := versionOf(v); is != want {
			t.Errorf("%T %+v: %d", v, v, is)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() { w.close() }()
		w.recovering(1)
		b := w.deletes()
		w.close()
		w.openAgain()
		if get(w.s, w.s.backups, b.ARN) == nil {
			t.Error("it is not there after a start")
		}
		key := rowKey(kindBackup, b.ARN)
		if err := w.s.load(key, []byte{newestVersion + 1}); err == nil || !strings.Contains(err.Error(), "newer release") {
			t.Error(err)
		}
	})
}

// TestThePastIsWhatItWas is acceptance 5: tables change in all ways, are split, expire, deleted and made again, the clock is set, and the machine
// crashes; each moment that can be restored or exported is what a copy that was kept then is, and others are refused.
func TestThePastIsWhatItWas(t *testing.T) {
	rounds, moments, first := 2, 50, uint64(0)
	if s := os.Getenv("MILLSTREAM_MOMENTS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		rounds, moments = (n+99)/100, 100
	}
	if s := os.Getenv("MILLSTREAM_FIRST_SEED"); s != "" { // a part of many
		var err error
		if first, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	total := 0
	for seed := first; seed < first+uint64(rounds); seed++ {
		synctest.Test(t, func(t *testing.T) {
			n, err := pastRound(t, seed, moments)
			if total += n; err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
		})
	}
	t.Log(total, "moments")
}
